"""`keras-t3d train`: its options are the fields of `TrainConfig`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.loading import import_tensorflow, print_processors
from keras_t3d.errors import check_argument
from keras_t3d.training.command_line import add_config, parse_config
from keras_t3d.training.config import TrainConfig


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    add_config(parser, TrainConfig)
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument(
        "--init", metavar="MODEL", help=".keras file whose weights training starts from"
    )
    parser.add_argument(
        "--profile", action="store_true", help="trace some steps for TensorBoard's profiler"
    )


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    config, others = parse_config(parser, words)
    run_dir = others["run_dir"]
    check_argument("run_dir", run_dir, run_dir is not None, "given, for example --run-dir runs/a")
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import_tensorflow()
    from keras_t3d.training.supervised import train_and_report

    print_processors()
    train_and_report(config, run_dir, others["init"], others["profile"])

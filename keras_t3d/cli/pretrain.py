"""`keras-t3d pretrain`: its options are the fields of `PretrainConfig`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.loading import import_tensorflow
from keras_t3d.errors import check_argument
from keras_t3d.training.command_line import add_config, parse_config
from keras_t3d.training.pretrain_config import PretrainConfig


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    add_config(parser, PretrainConfig)
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument(
        "--cache-features",
        dest="caches",
        action="store_true",
        help="short for --cache_features true: compute the teacher's features of the centre view "
        "once",
    )


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    config, others = parse_config(parser, words, PretrainConfig)
    run_dir = others["run_dir"]
    check_argument("run_dir", run_dir, run_dir is not None, "given, for example --run-dir runs/pre")
    if others["caches"]:
        config = dataclasses.replace(config, cache_features=True)
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import_tensorflow()
    from keras_t3d.training.pretraining import pretrain_and_report

    pretrain_and_report(config, run_dir)

"""`keras-t3d train`: its options are the fields of the configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence

from keras_t3d.cli.tensorflow_import import import_tensorflow


def run(argv: Sequence[str]) -> None:
    from keras_t3d.training.command_line import config_parser, parse_config

    parser = config_parser(
        prog="keras-t3d train",
        description="Train on shards; the same command again goes on where the run was.",
    )
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument("--init", metavar="MODEL", help=".keras file whose weights to start from")
    parser.add_argument(
        "--profile", action="store_true", help="trace some steps for TensorBoard's profiler"
    )
    config, others = parse_config(parser, argv)
    if others["run_dir"] is None:
        raise ValueError("train needs a folder for the run, for example --run-dir runs/a")
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import_tensorflow()
    from keras_t3d.training.supervised import train_and_report

    train_and_report(config, others["run_dir"], others["init"], others["profile"])

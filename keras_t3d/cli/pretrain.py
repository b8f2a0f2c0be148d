"""`keras-t3d pretrain`: its options are the fields of the configuration."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from keras_t3d.cli.progress import progress_bar
from keras_t3d.cli.tensorflow_import import import_tensorflow


def run(argv: Sequence[str]) -> None:
    from keras_t3d.training.command_line import config_parser, parse_config
    from keras_t3d.training.pretrain_config import PretrainConfig

    parser = config_parser(
        prog="keras-t3d pretrain",
        description="Learn from shards without their labels, taught by a frozen 2D network; the "
        "same command again goes on where the run was. Then: keras-t3d train --init "
        "RUN/student.keras.",
        config_class=PretrainConfig,
    )
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument(
        "--cache-features",
        dest="caches",
        action="store_true",
        help="as --cache_features true: compute the teacher's features once, of the centre view",
    )
    config, others = parse_config(parser, argv, PretrainConfig)
    if others["run_dir"] is None:
        raise ValueError("pretrain needs a folder for the run, for example --run-dir runs/pre")
    if others["caches"]:
        config = dataclasses.replace(config, cache_features=True)
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import_tensorflow()
    from keras_t3d.training.pretraining import pretrain_and_report

    pretrain_and_report(config, others["run_dir"], progress_bar)

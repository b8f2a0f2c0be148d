"""`keras-t3d demo`: the whole path on generated videos."""

from __future__ import annotations

import argparse
from typing import Any

from keras_t3d.cli.command import add_command
from keras_t3d.cli.progress import progress_bar
from keras_t3d.cli.tensorflow_import import import_tensorflow


def add(commands: Any) -> None:
    demo = add_command(commands, "demo", run, "run the whole path on generated videos")
    demo.add_argument("--out", default="demo", metavar="DIR", help="new folder for everything")
    demo.add_argument("--seed", type=int, default=0, help="seed of videos and training")
    demo.add_argument("--quick", action="store_true", help="seconds, not minutes: learns little")


def run(arguments: argparse.Namespace) -> None:
    import_tensorflow()
    from keras_t3d.demo import run_demo

    run_demo(arguments.out, progress_bar, seed=arguments.seed, quick=arguments.quick)

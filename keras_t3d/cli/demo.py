"""`keras-t3d demo`: run every step on generated videos."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.loading import import_tensorflow
from keras_t3d.cli.options import add_options, selected
from keras_t3d.demo import run_demo


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    add_options(parser, run_demo)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    import_tensorflow()
    run_demo(**selected(arguments, run_demo))

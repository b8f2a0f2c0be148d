"""`keras-t3d export`: write a model for serving or for devices."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jsonargparse

from keras_t3d.artifact_files import check_model_exists
from keras_t3d.cli.loading import import_tensorflow
from keras_t3d.cli.native_messages import without_meaningless_messages
from keras_t3d.cli.options import add_options, selected
from keras_t3d.deploy.options import EXPORT_TARGETS, check_calibration


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    formats = parser.add_subcommands(dest="format", metavar="FORMAT")
    for target in EXPORT_TARGETS.values():
        arguments = jsonargparse.ArgumentParser(description=f"Write a model {target.summary}.")
        arguments.add_argument("model", metavar="MODEL", help=".keras file")
        arguments.add_argument("out", metavar="OUT", help=target.out)
        arguments.add_argument(
            "--calibration",
            metavar="SHARDS",
            help="compare on clips of these shards, not on generated ones; int8 needs them, and "
            "takes the ranges of activations from them",
        )
        add_options(arguments, target.options)
        formats.add_subcommand(target.name, arguments, help=target.summary)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    parsed = parser.parse_args(words)
    target, arguments = EXPORT_TARGETS[parsed.format], parsed[parsed.format]
    options = target.options(**selected(arguments, target.options))
    check_model_exists(arguments.model)
    check_calibration(options, arguments.calibration)
    import_tensorflow()
    with without_meaningless_messages():
        target.export(
            arguments.model,
            arguments.out,
            arguments.calibration,
            options,
            functools.partial(print, flush=True),
        )

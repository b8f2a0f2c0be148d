"""`keras-t3d serve`: serve a model over TF Serving's REST and gRPC interfaces."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.options import MODEL, add_options, selected
from keras_t3d.deploy.serving_server.options import ServerOptions


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"{MODEL}, or run directory")
    add_options(parser, ServerOptions)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    options = ServerOptions(**selected(arguments, ServerOptions))
    loading.prepare(arguments.model)
    from keras_t3d.deploy.serving_server.serve import serve

    serve(arguments.model, options, functools.partial(print, flush=True))

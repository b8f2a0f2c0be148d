"""`keras-t3d publish`: save a model to the Hugging Face Hub, with a model card."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.options import add_options, selected
from keras_t3d.hub.options import ModelCardOptions


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=".keras file or run directory")
    parser.add_argument("address", metavar="ADDRESS", help="new or existing, as hf://user/name")
    add_options(parser, ModelCardOptions)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    options = ModelCardOptions(**selected(arguments, ModelCardOptions))
    loading.prepare(arguments.model)
    from keras_t3d.hub.repository import push_to_hub
    from keras_t3d.models.load import load_keras_model

    push_to_hub(load_keras_model(arguments.model), arguments.address, options)
    print(f"Published {arguments.address}")

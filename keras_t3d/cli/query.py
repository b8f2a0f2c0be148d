"""`keras-t3d query`: classify a video with TF Serving."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.options import add_options, selected
from keras_t3d.cli.output import print_classes
from keras_t3d.deploy.serving_client.video_query import query


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument(
        "server",
        metavar="URL",
        help="http://host:8501/v1/models/NAME, or host:8500/NAME with --grpc; may end in "
        "/versions/N",
    )
    parser.add_argument("path", metavar="VIDEO", help="video file")
    add_options(parser, query, flags={"num_views": "--views", "clip_spec": "--spec"})
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    classes = query(**selected(arguments, query))
    print_classes(arguments.path, classes, arguments)

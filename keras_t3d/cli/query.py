"""`keras-t3d query`: classify a video with TF Serving."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.options import add_options, selected
from keras_t3d.cli.output import print_classes, window_line
from keras_t3d.deploy.serving_client.connection import connect
from keras_t3d.deploy.serving_client.stream_query import served_stream
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
    parser.add_argument(
        "--windows", action="store_true", help="print the answer after each step, of a stream"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: an object, or one a step")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    if arguments.windows:
        _print_steps(arguments)
        return
    classes = query(**selected(arguments, query))
    print_classes(arguments.path, classes, arguments)


def _print_steps(arguments: jsonargparse.Namespace) -> None:
    from keras_t3d.inference import stream_video, window_record

    with connect(arguments.server, arguments.grpc, arguments.timeout) as client:
        stream = served_stream(client)
        for window in stream_video(stream, arguments.path):
            record = window_record(arguments.path, window, stream.class_names, arguments.top)
            print(window_line(record, arguments.json), flush=True)

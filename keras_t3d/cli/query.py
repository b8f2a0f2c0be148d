"""`keras-t3d query`: classify videos with TF Serving, or with `keras-t3d serve`."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.bulk import VIDEOS
from keras_t3d.cli.options import add_options, selected
from keras_t3d.cli.output import for_each_video, print_classes, window_line
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.sources.named_videos import named_videos
from keras_t3d.deploy.serving_client.client import ServingClient
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
    parser.add_argument("videos", metavar="VIDEO", nargs="+", help=VIDEOS)
    flags = {"num_views": "--views", "clip_spec": "--spec"}
    add_options(parser, query, skip=("start", "end"), flags=flags)
    parser.add_argument(
        "--windows", action="store_true", help="print the prediction after each step, of a stream"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    videos = named_videos(arguments.videos)
    options = selected(arguments, query)
    address, grpc, timeout = (options.pop(name) for name in ("server", "grpc", "timeout"))
    with connect(address, grpc, timeout) as client:

        def classify(entry: VideoEntry) -> None:
            if arguments.windows:
                _print_steps(client, entry, arguments)
                return
            classes = query(client, entry.path, **options, start=entry.start, end=entry.end)
            print_classes(entry.video_id, classes, arguments)

        for_each_video(videos, classify)


def _print_steps(
    client: ServingClient, entry: VideoEntry, arguments: jsonargparse.Namespace
) -> None:
    from keras_t3d.data import VideoReader
    from keras_t3d.inference import stream_video, window_record

    stream = served_stream(client)
    with VideoReader(entry.path, 1, entry.start, entry.end) as video:
        for window in stream_video(stream, video):
            record = window_record(entry.video_id, window, stream.class_names, arguments.top)
            print(window_line(record, arguments.json), flush=True)

"""`keras-t3d query`: what TF Serving says of a video."""

from __future__ import annotations

import argparse
from typing import Any

from keras_t3d.cli.answers import print_classes
from keras_t3d.cli.command import add_command
from keras_t3d.cli.unreadable import told_if_damaged


def add(commands: Any) -> None:
    query = add_command(commands, "query", run, "ask TF Serving what happens in a video")
    query.add_argument(
        "address",
        metavar="URL",
        help="http://host:8501/v1/models/NAME, or host:8500/NAME with --grpc; perhaps with "
        "/versions/N at its end",
    )
    query.add_argument("video", metavar="VIDEO", help="video file")
    query.add_argument("--grpc", action="store_true", help="speak gRPC, not REST")
    query.add_argument("--top", type=int, default=5, metavar="K", help="classes to name")
    query.add_argument(
        "--views", type=int, metavar="N", help="clips to score (default: cover the video, up to 10)"
    )
    query.add_argument(
        "--jpeg", action="store_true", help="send JPEG images: fewer bytes, for a small loss"
    )
    query.add_argument(
        "--spec",
        metavar="FILE",
        help="clip_spec.json or SavedModel folder, for a served model that cannot say its own",
    )
    query.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds for a request and retries"
    )
    query.add_argument("--json", action="store_true", help="a JSON object")


def run(arguments: argparse.Namespace) -> None:
    from keras_t3d.deploy import connect, query

    connected = connect(arguments.address, arguments.grpc, arguments.timeout)
    with connected as client, told_if_damaged():
        classes = query(
            client,
            arguments.video,
            arguments.top,
            arguments.views,
            jpeg=arguments.jpeg,
            clip_spec=arguments.spec,
        )
    print_classes(arguments.video, classes, arguments)

"""`keras-t3d predict`: what happens in videos, once for each or window by window."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from keras_t3d.cli import loading
from keras_t3d.cli.answers import print_classes
from keras_t3d.cli.command import HOP, MODEL, SMOOTHING, add_command
from keras_t3d.cli.predict_windows import predict_windows
from keras_t3d.cli.unreadable import check_readable, told_if_damaged, told_if_unreadable


def add(commands: Any) -> None:
    predict = add_command(commands, "predict", run, "say what happens in videos, and when")
    predict.add_argument("model", metavar="MODEL", help=MODEL)
    predict.add_argument(
        "videos", metavar="VIDEO", nargs="+", help="video files, or folders of them"
    )
    predict.add_argument("--top", type=int, default=5, metavar="K", help="classes to name")
    predict.add_argument(
        "--views", type=int, metavar="N", help="clips to score (default: cover the video, up to 10)"
    )
    predict.add_argument("--json", action="store_true", help="one JSON object a line")
    windows = predict.add_argument_group("over time, a window slides over each video")
    windows.add_argument("--windows", action="store_true", help="say what happens in each window")
    windows.add_argument(
        "--out", metavar="FILE", help="write the windows to this .json or .csv file (as --windows)"
    )
    windows.add_argument(
        "--timeline", metavar="PNG", help="draw the top classes over time (as --windows)"
    )
    windows.add_argument("--hop", type=float, metavar="S", help=HOP)
    windows.add_argument("--smoothing", metavar="RULE", help=SMOOTHING)
    windows.add_argument(
        "--batch-size", type=int, metavar="N", help="windows scored at once (default: 1)"
    )


def run(arguments: argparse.Namespace) -> None:
    from keras_t3d.inference.predictor import check_top

    check_top(arguments.top)
    videos = _videos(arguments.videos)
    if arguments.windows or arguments.out is not None or arguments.timeline is not None:
        predict_windows(arguments, videos)
        return
    for_windows = ("hop", "smoothing", "batch_size")
    alone = [option for option in for_windows if getattr(arguments, option) is not None]
    if alone:
        raise ValueError(
            "--hop, --smoothing and --batch-size are for windows: add --windows, --out or "
            f"--timeline. Received: --{alone[0].replace('_', '-')} without"
        )
    from keras_t3d.inference import predict_video

    predictor = loading.predictor(arguments.model)
    unreadable = 0
    for video in videos:
        with told_if_unreadable(video, videos) as failures:
            with told_if_damaged():
                classes = predict_video(predictor, video, arguments.top, arguments.views)
            print_classes(video, classes, arguments)
        unreadable += len(failures)
    check_readable(unreadable, videos)


def _videos(paths: Sequence[str]) -> list[str]:
    """The videos that were named, and those below folders that were."""
    from keras_t3d.data.sources.video_files import video_files

    if not any(os.path.exists(path) for path in paths):
        raise ValueError(
            "Expected videos, or folders with videos below. Received: "
            f"{', '.join(paths)}, where nothing is"
        )
    videos: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            videos.append(path)
            continue
        below = [os.path.join(path, name) for name in video_files(path)]
        if not below:
            raise ValueError(f"Expected videos, or folders with videos below. Received: {path}")
        videos += below
    return videos

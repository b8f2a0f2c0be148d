"""`keras-t3d predict`: classify videos, as a whole or window by window."""

from __future__ import annotations

import os
from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.options import MODEL, add_options, add_window_options
from keras_t3d.cli.output import for_each_video, print_classes
from keras_t3d.cli.predict_windows import predict_windows
from keras_t3d.data.sources.video_files import video_files
from keras_t3d.errors import InvalidArgumentError, check_argument, check_integer
from keras_t3d.inference import predict_video
from keras_t3d.inference.options import WindowOptions


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument(
        "videos", metavar="VIDEO", nargs="+", help="video files, or folders of them"
    )
    add_options(parser, predict_video, flags={"num_views": "--views"})
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    windows = parser.add_argument_group("over time, with a window that slides over each video")
    windows.add_argument("--windows", action="store_true", help="print the classes of each window")
    windows.add_argument(
        "--out", metavar="FILE", help="write the windows to this .json or .csv file"
    )
    windows.add_argument(
        "--timeline", metavar="PNG", help="draw the top classes over time, of one video"
    )
    add_window_options(windows)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    check_integer("top", arguments.top, 1, 5)
    videos = _find_videos(arguments.videos)
    if arguments.windows or arguments.out is not None or arguments.timeline is not None:
        predict_windows(arguments, videos)
        return
    for name in ("hop", "smoothing", "batch_size"):
        value, default = getattr(arguments, name), getattr(WindowOptions(), name)
        rule = "left out without --windows, --out or --timeline: add --windows"
        check_argument(name, value, value == default, rule)
    predictor = loading.predictor(arguments.model)

    def classify(video: str) -> None:
        classes = predict_video(predictor, video, arguments.top, arguments.num_views)
        print_classes(video, classes, arguments)

    for_each_video(videos, classify)


def _find_videos(paths: Sequence[str]) -> list[str]:
    """Returns the videos that were named, and those in folders that were named."""
    if not any(os.path.exists(path) for path in paths):
        raise InvalidArgumentError(f"No such file: {', '.join(paths)}", argument="videos")
    videos: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            videos.append(path)
            continue
        found = [os.path.join(path, name) for name in video_files(path)]
        check_argument("videos", path, bool(found), "video files, or folders with videos")
        videos += found
    return videos

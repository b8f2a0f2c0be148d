"""`keras-t3d watch`: show the classes over a video or camera as it plays."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jsonargparse

from keras_t3d.atomic import check_file_path
from keras_t3d.cli import loading
from keras_t3d.cli.options import MODEL, add_window_options, window_options
from keras_t3d.cli.output import print_note, print_unless_closed
from keras_t3d.errors import InvalidArgumentError, check_integer

if TYPE_CHECKING:
    from keras_t3d.data import VideoReader
    from keras_t3d.inference.camera import Camera
    from keras_t3d.inference.screen import Screen
    from keras_t3d.inference.watching import WatchedFrame


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("video", metavar="VIDEO", nargs="?", help="video file")
    parser.add_argument("--camera", type=int, metavar="N", help="number of a camera, from 0")
    parser.add_argument("--out", metavar="MP4", help="write what is shown to this file, no sound")
    parser.add_argument(
        "--scores", metavar="FILE", help="write the windows to this .json or .csv file"
    )
    parser.add_argument("--timeline", metavar="PNG", help="draw the top classes over time")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes to show")
    add_window_options(parser, skip=("batch_size",))
    parser.add_argument("--no-display", action="store_true", help="do not open a window")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    video, camera, out = arguments.video, arguments.camera, arguments.out
    if (video is None) == (camera is None):
        received = "neither" if video is None else "both"
        raise InvalidArgumentError(
            "Expected a video or a camera, for example `keras-t3d watch MODEL film.mp4` or "
            f"`keras-t3d watch MODEL --camera 0`. Received: {received}"
        )
    check_integer("top", arguments.top, 1, 5)
    options = window_options(arguments)
    _check_files(arguments)
    live = camera is not None
    writes = any(path is not None for path in (out, arguments.scores, arguments.timeline))
    with contextlib.ExitStack() as stack:
        # The screen must open before PyAV is imported: see keras_t3d/inference/screen.py.
        title = f"camera {camera}" if live else video
        screen = None if arguments.no_display else _screen(title, live, needed=not writes)
        if screen is not None:
            stack.enter_context(screen)
        from keras_t3d.data import VideoReader
        from keras_t3d.inference import Camera, watch, watch_frames
        from keras_t3d.inference.signals import catch_stop_signals
        from keras_t3d.inference.window_outputs import window_outputs

        source: VideoReader | Camera = Camera(camera) if live else VideoReader(video)
        stack.enter_context(source)
        predictor = loading.predictor(arguments.model)
        stopped = stack.enter_context(catch_stop_signals())
        frames = watch_frames(predictor, source, top=arguments.top, options=options, live=live)
        in_background = writes or screen is not None
        write_line = print_unless_closed if in_background else functools.partial(print, flush=True)
        names, files = predictor.class_names, (arguments.scores, arguments.timeline)
        outputs = stack.enter_context(window_outputs(names, arguments.top, *files, write_line))

        def show(frame: WatchedFrame) -> None:
            if frame.prediction is not None:
                outputs.add(title, frame.prediction)
            _print_classes(frame, write_line)

        before, count = _file_number(out), None
        try:
            count = watch(frames, out=out, screen=screen, on_prediction=show, should_stop=stopped)
        finally:
            if sys.stdout.isatty():
                write_line("")  # ends the running line
            if out is not None and _file_number(out) != before:  # after a failure, too
                header = getattr(source, "header", None)
                sound = ", without the sound" if header is not None and header.has_sound else ""
                length = ", up to the failure" if count is None else f": {count} frames"
                write_line(f"Wrote {out}{length}{sound}")
            damage = getattr(source, "damage", None)
            if damage:
                print_note(f"damaged, shown without what does not decode ({damage})")
    stopped.check()


def _file_number(path: str | None) -> int | None:
    """Distinguishes a file from another that replaced it."""
    return os.stat(path).st_ino if path is not None and os.path.exists(path) else None


def _check_files(arguments: jsonargparse.Namespace) -> None:
    video, out = arguments.video, arguments.out
    check_file_path(out, "out", "annotated.mp4")
    check_file_path(arguments.scores, "scores", "windows.json", "windows.csv")
    check_file_path(arguments.timeline, "timeline", "timeline.png")
    is_path = out is not None and video is not None
    if is_path and os.path.exists(out) and os.path.samefile(video, out):
        raise InvalidArgumentError(
            f"`out` would replace the video itself. Received: {out}", argument="out"
        )


def _screen(title: str, live: bool, needed: bool) -> Screen | None:
    from keras_t3d.inference.screen import Screen, ScreenError

    try:
        return Screen(title, live)
    except ScreenError as error:
        if needed:
            raise ScreenError(
                f"{error}. Without a window: --out annotated.mp4, or --no-display"
            ) from None
        print_note(f"no window is shown: {error}")
        return None


def _print_classes(frame: WatchedFrame, write_line: Callable[..., None]) -> None:
    """Overwrites one line on a terminal; prints a line per window elsewhere."""
    from keras_t3d.inference.timeline import format_time

    classes = ", ".join(f"{name} {probability:.0%}" for name, probability in frame.classes)
    line = f"{format_time(frame.start)}  {classes}"
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        write_line(f"\r\x1b[2K{line[:width]}", end="")
    else:
        write_line(line)

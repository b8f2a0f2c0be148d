"""`keras-t3d watch`: the running classes over a video or camera."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keras_t3d.cli import loading
from keras_t3d.cli.answers import print_while_read
from keras_t3d.cli.command import HOP, MODEL, SMOOTHING, add_command

if TYPE_CHECKING:
    from keras_t3d.data.video.reader import VideoReader
    from keras_t3d.inference.camera import Camera
    from keras_t3d.inference.screen import Screen
    from keras_t3d.inference.watching import WatchedFrame


def add(commands: Any) -> None:
    watch = add_command(commands, "watch", run, "show the running classes over a video or camera")
    watch.add_argument("model", metavar="MODEL", help=MODEL)
    watch.add_argument("video", metavar="VIDEO", nargs="?", help="video file")
    watch.add_argument("--camera", type=int, metavar="N", help="a camera, 0 the first")
    watch.add_argument("--out", metavar="MP4", help="write what is shown to this file, soundless")
    watch.add_argument(
        "--scores", metavar="FILE", help="write the windows to this .json or .csv file"
    )
    watch.add_argument("--timeline", metavar="PNG", help="draw the top classes over time")
    watch.add_argument("--top", type=int, default=3, metavar="K", help="classes to name")
    watch.add_argument("--hop", type=float, metavar="S", help=HOP)
    watch.add_argument("--smoothing", metavar="RULE", help=SMOOTHING)
    watch.add_argument("--no-display", action="store_true", help="open no window on the screen")


def run(arguments: argparse.Namespace) -> None:
    from keras_t3d.inference.predictor import check_top
    from keras_t3d.inference.smoothing import parse_smoothing

    video, camera, out = arguments.video, arguments.camera, arguments.out
    if (video is None) == (camera is None):
        received = "neither" if video is None else "both"
        raise ValueError(
            "Expected a video or a camera, for example `keras-t3d watch MODEL film.mp4` or "
            f"`keras-t3d watch MODEL --camera 0`. Received: {received}"
        )
    check_top(arguments.top)
    smoothing = None if arguments.smoothing is None else parse_smoothing(arguments.smoothing)
    live = camera is not None
    writes = any(path is not None for path in (out, arguments.scores, arguments.timeline))
    with contextlib.ExitStack() as stack:
        # The screen comes before whatever imports PyAV: see keras_t3d/inference/screen.py.
        title = f"camera {camera}" if live else video
        screen = None if arguments.no_display else _screen(title, live, needed=not writes)
        if screen is not None:
            stack.enter_context(screen)
        from keras_t3d.data.video.reader import VideoReader
        from keras_t3d.inference import Camera, WindowOptions, watch, watch_frames
        from keras_t3d.inference.signals import catch_stop_signals

        options = WindowOptions(hop=arguments.hop, smoothing=smoothing)
        _check_files(arguments)
        source: VideoReader | Camera = Camera(camera) if live else VideoReader(video)
        stack.enter_context(source)
        predictor = loading.predictor(arguments.model)
        stopped = stack.enter_context(catch_stop_signals())
        frames = watch_frames(
            predictor,
            source,
            top=arguments.top,
            options=options,
            live=live,
        )
        say = print_while_read if writes or screen else functools.partial(print, flush=True)
        keep = stack.enter_context(_kept_scores(title, predictor.class_names, say, arguments))

        def tell(frame: WatchedFrame) -> None:
            keep(frame)
            _tell_running(frame, say)

        before, count = _file_number(out), None
        try:
            count = watch(frames, out=out, screen=screen, on_prediction=tell, should_stop=stopped)
        finally:
            if sys.stdout.isatty():
                say("")  # ends the running line
            if out is not None and _file_number(out) != before:  # when something failed, too
                sound = (
                    ", without the sound"
                    if isinstance(source, VideoReader) and source.header.has_sound
                    else ""
                )
                length = ", as far as it goes" if count is None else f": {count} frames"
                say(f"Wrote {out}{length}{sound}")
            damage = getattr(source, "damage", None)
            if damage:
                note = f"keras-t3d: damaged, shown without what does not decode ({damage})"
                print(note, file=sys.stderr)
    stopped.check()


def _file_number(path: str | None) -> int | None:
    """Tells a file from another that takes its place."""
    return os.stat(path).st_ino if path is not None and os.path.exists(path) else None


def _check_files(arguments: argparse.Namespace) -> None:
    from keras_t3d.inference.timeline import check_timeline_path
    from keras_t3d.inference.video_writer import check_video_path
    from keras_t3d.inference.window_records import check_window_path

    video, out = arguments.video, arguments.out
    if out is not None:
        check_video_path(out)
        if video is not None and os.path.exists(out) and os.path.samefile(video, out):
            raise ValueError(f"--out would replace the video itself. Received: --out {out}")
    if arguments.scores is not None:
        check_window_path(arguments.scores)
    if arguments.timeline is not None:
        check_timeline_path(arguments.timeline)


@contextmanager
def _kept_scores(
    title: str, names: Sequence[str], say: Callable[[str], None], arguments: argparse.Namespace
) -> Iterator[Callable[[WatchedFrame], None]]:
    """Writes windows and timeline, as far as they go when something fails."""
    from keras_t3d.inference import Timeline, window_file, window_record

    scores_file, timeline_file = arguments.scores, arguments.timeline
    count, timeline = 0, Timeline(names)
    failure: Exception | None = None
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(window_file(scores_file)) if scores_file else None

        def keep(frame: WatchedFrame) -> None:
            nonlocal count
            if frame.prediction is None:
                return
            if write is not None:
                write(window_record(title, frame.prediction, names, arguments.top))
            if timeline_file:
                timeline.add(frame.prediction)
            count += 1

        try:
            yield keep
        except Exception as error:
            if count == 0:
                raise
            failure = error
    if scores_file:
        say(f"Wrote {scores_file}: {count} windows")
    if timeline_file and count:
        timeline.save(timeline_file, arguments.top, title=os.path.basename(title))
        say(f"Wrote {timeline_file}")
    elif timeline_file:
        print("keras-t3d: no timeline: it ended before a window was full", file=sys.stderr)
    if failure is not None:
        raise failure


def _screen(title: str, live: bool, needed: bool) -> Screen | None:
    from keras_t3d.inference.screen import Screen, ScreenError

    try:
        return Screen(title, live)
    except ScreenError as error:
        if needed:
            raise ScreenError(
                f"{error}. Without a window: --out annotated.mp4, or --no-display"
            ) from None
        print(f"keras-t3d: no window is shown: {error}", file=sys.stderr)
        return None


def _tell_running(frame: WatchedFrame, say: Callable[..., None]) -> None:
    """One line that is written over on a terminal, a line each elsewhere."""
    from keras_t3d.inference.timeline import format_time

    classes = ", ".join(f"{name} {probability:.0%}" for name, probability in frame.classes)
    line = f"{format_time(frame.start)}  {classes}"
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        say(f"\r\x1b[2K{line[:width]}", end="")
    else:
        say(line)

"""`keras-t3d predict --windows`: a window slides over each video."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jsonargparse

from keras_t3d.atomic import check_file_path
from keras_t3d.cli import loading
from keras_t3d.cli.options import window_options
from keras_t3d.cli.output import (
    for_each_video,
    print_classes,
    print_note,
    print_unless_closed,
    window_line,
)
from keras_t3d.errors import check_argument
from keras_t3d.progress import progress_bar

if TYPE_CHECKING:
    from keras_t3d.data.sources.listing import VideoEntry
    from keras_t3d.inference.options import WindowOptions
    from keras_t3d.inference.predictor import Predictor
    from keras_t3d.inference.window_outputs import WindowOutputs
    from keras_t3d.inference.window_prediction import WindowPrediction


def predict_windows(arguments: jsonargparse.Namespace, entries: Sequence[VideoEntry]) -> None:
    from keras_t3d.inference.signals import catch_stop_signals
    from keras_t3d.inference.window_outputs import window_outputs

    _check(arguments, entries)
    videos = [entry.path for entry in entries]
    options = window_options(arguments)
    predictor = loading.predictor(arguments.model)
    out, timeline = arguments.out, arguments.timeline
    writes = out is not None or timeline is not None
    write_line = print_unless_closed if writes else functools.partial(print, flush=True)
    # With --json, standard output is for JSON objects.
    notify = functools.partial(print, file=sys.stderr) if arguments.json else write_line
    with catch_stop_signals() as stopped:
        with window_outputs(predictor.class_names, arguments.top, out, timeline, notify) as outputs:

            def score(video: str) -> None:
                _score(video, predictor, options, stopped, outputs, write_line, arguments)

            for_each_video(videos, score, should_stop=stopped)
            if outputs.num_windows == 0:
                stopped.check()  # raised in here, it removes the file
        stopped.check()


def _check(arguments: jsonargparse.Namespace, videos: Sequence[VideoEntry]) -> None:
    timeline = arguments.timeline
    rules = {
        "num_views": "left out with windows, which cover the video anyway, `hop` seconds apart",
        "workers": "left out with windows, which are read in this process",
    }
    for name, rule in rules.items():
        value = getattr(arguments, name)
        check_argument(name, value, value is None, rule)
    spans = [video.video_id for video in videos if video.start is not None or video.end is not None]
    rule = "whole videos with windows, without start and end"
    check_argument("videos", spans[:1], not spans, rule)
    check_file_path(arguments.out, "out", "windows.json", "windows.csv")
    check_file_path(timeline, "timeline", "timeline.png")
    rule = "of one video: name one, or use --windows --out windows.csv for all"
    check_argument("timeline", timeline, timeline is None or len(videos) == 1, rule)


def _score(
    video: str,
    predictor: Predictor,
    options: WindowOptions,
    should_stop: Callable[[], bool],
    outputs: WindowOutputs,
    write_line: Callable[..., None],
    arguments: jsonargparse.Namespace,
) -> None:
    from keras_t3d.data import VideoReader
    from keras_t3d.data.video.damage import warn_of_damage
    from keras_t3d.inference import summarize_windows, window_record

    names, top = predictor.class_names, arguments.top
    shown = arguments.windows and arguments.out is None
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(video))
        seconds = round(reader.header.seconds or 0)
        long = not shown and seconds > 10
        progress = stack.enter_context(progress_bar("scoring", "seconds")) if long else None
        if shown and not arguments.json:
            write_line(video)

        def record(window: WindowPrediction) -> None:
            outputs.add(video, window)
            if shown:
                write_line(window_line(window_record(video, window, names, top), arguments.json))
            if progress is not None:
                progress(round(window.end), max(seconds, round(window.end)))

        summary = summarize_windows(
            predictor, reader, record, top=top, options=options, should_stop=should_stop
        )
    if summary.num_windows:
        note = f": mean of {summary.num_windows} window{'s' * (summary.num_windows > 1)}"
        print_classes(video, summary.classes, arguments, note, write_line)
    if summary.gap_seconds:
        print_note(
            f"{summary.gap_seconds:.1f} seconds between windows were not scored: --hop "
            f"{arguments.hop:g} is longer than a window: {video}"
        )
    if summary.stopped:
        print_note(f"scored up to second {summary.end:.2f}: {video}")
    warn_of_damage(video, reader.damage)

"""`keras-t3d predict --windows`: a window slides over each video."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.output import print_classes, print_unless_closed
from keras_t3d.cli.progress import progress_bar
from keras_t3d.cli.unreadable import check_readable, collect_unreadable
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.smoothing import parse_smoothing

if TYPE_CHECKING:
    from keras_t3d.inference.predictor import Predictor
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.window_prediction import WindowPrediction
    from keras_t3d.inference.window_summary import WindowSummary


def predict_windows(arguments: jsonargparse.Namespace, videos: list[str]) -> None:
    from keras_t3d.inference.signals import catch_stop_signals
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.window_records import window_file

    options = _check(arguments, videos)
    predictor = loading.predictor(arguments.model)
    timeline = Timeline(predictor.class_names) if arguments.timeline is not None else None
    writes = arguments.out is not None or timeline is not None
    write_line = print_unless_closed if writes else functools.partial(print, flush=True)
    unreadable, reports = 0, []
    failure: Exception | None = None
    with catch_stop_signals() as stopped:
        with contextlib.ExitStack() as stack:
            write = stack.enter_context(window_file(arguments.out)) if arguments.out else None
            outputs = _Outputs(write, timeline, write_line)
            try:
                for video in videos:
                    with collect_unreadable(video, videos) as failures:
                        report = _score(video, predictor, options, outputs, stopped, arguments)
                        reports.append(report)
                    unreadable += len(failures)
                    if stopped():
                        break
            except Exception as error:  # keeps the windows scored so far
                failure = error
            if not outputs.windows:  # raised in here, it removes the file
                if failure is not None:
                    raise failure
                stopped.check()
                check_readable(unreadable, videos)
        if timeline is not None:
            timeline.save(arguments.timeline, arguments.top, title=os.path.basename(videos[0]))
        for written in filter(None, (arguments.out, arguments.timeline)):
            if arguments.json:  # standard output is for JSON objects
                print(f"Wrote {written}", file=sys.stderr)
            else:
                write_line(f"Wrote {written}")
    unscored = sum(report.gap_seconds for report in reports)
    if unscored:
        print(
            f"keras-t3d: {unscored:.1f} seconds between windows were not scored: --hop "
            f"{arguments.hop:g} is longer than a window",
            file=sys.stderr,
        )
    if failure is not None:
        raise failure
    stopped.check()
    check_readable(unreadable, videos)


def _check(arguments: jsonargparse.Namespace, videos: list[str]) -> WindowOptions:
    from keras_t3d.inference.timeline import check_timeline_path
    from keras_t3d.inference.window_records import check_window_path

    if arguments.num_views is not None:
        raise InvalidArgumentError(
            "`num_views` is for a video as a whole; windows cover it anyway, `hop` seconds apart. "
            f"Received: {arguments.num_views} with windows",
            argument="num_views",
        )
    options = WindowOptions(
        hop=arguments.hop,
        smoothing=None if arguments.smoothing is None else parse_smoothing(arguments.smoothing),
        batch_size=arguments.batch_size,
    )
    if arguments.out is not None:
        check_window_path(arguments.out)
    if arguments.timeline is not None:
        check_timeline_path(arguments.timeline)
        if len(videos) > 1:
            raise InvalidArgumentError(
                "`timeline` draws one video: name one, or use --out windows.csv for all. "
                f"Received: {len(videos)} videos",
                argument="timeline",
            )
    return options


@dataclasses.dataclass
class _Outputs:
    """Destinations of the windows, and their number so far."""

    write: Callable[[dict[str, Any]], None] | None
    timeline: Timeline | None
    write_line: Callable[..., None]
    windows: int = 0


def _score(
    video: str,
    predictor: Predictor,
    options: WindowOptions,
    outputs: _Outputs,
    stopped: Callable[[], bool],
    arguments: jsonargparse.Namespace,
) -> WindowSummary:
    from keras_t3d.data import VideoReader
    from keras_t3d.inference import summarize_windows, window_record

    shown = arguments.windows and outputs.write is None
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(video))
        seconds = round(reader.header.seconds or 0)
        long = not shown and seconds > 10
        progress = stack.enter_context(progress_bar("scoring", "seconds")) if long else None
        if shown and not arguments.json:
            outputs.write_line(video)

        def record(window: WindowPrediction) -> None:
            entry = window_record(video, window, predictor.class_names, arguments.top)
            if outputs.write is not None:
                outputs.write(entry)
            elif shown:
                outputs.write_line(_window_line(entry, arguments.json))
            if outputs.timeline is not None:
                outputs.timeline.add(window)
            outputs.windows += 1
            if progress is not None:
                progress(round(window.end), max(seconds, round(window.end)))

        report = summarize_windows(
            predictor, reader, record, top=arguments.top, options=options, should_stop=stopped
        )
    if report.num_windows:
        note = f": mean of {report.num_windows} window{'s' * (report.num_windows > 1)}"
        print_classes(video, report.classes, arguments, note, outputs.write_line)
    if report.stopped:
        print(f"\nkeras-t3d: scored up to second {report.end:.2f}: {video}", file=sys.stderr)
    if reader.damage:
        print(
            f"keras-t3d: damaged, scored up to the damage ({reader.damage}): {video}",
            file=sys.stderr,
        )
    return report


def _window_line(record: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(record, ensure_ascii=False)
    classes = ", ".join(f"{c['class']} {c['probability']:.1%}" for c in record["classes"])
    return f"  {record['start']:9.2f} to {record['end']:9.2f} s  {classes}"

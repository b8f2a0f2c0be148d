"""`keras-t3d predict --windows`: a window slides over each video."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_t3d.cli import loading
from keras_t3d.cli.answers import print_classes, print_while_read, say_beside
from keras_t3d.cli.progress import progress_bar
from keras_t3d.cli.unreadable import check_readable, told_if_unreadable

if TYPE_CHECKING:
    from keras_t3d.inference.options import WindowOptions
    from keras_t3d.inference.predictor import Predictor
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.window_prediction import WindowPrediction
    from keras_t3d.inference.window_summary import WindowSummary


def predict_windows(arguments: argparse.Namespace, videos: list[str]) -> None:
    from keras_t3d.inference.signals import catch_stop_signals
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.window_records import window_file

    options = _options(arguments, videos)
    predictor = loading.predictor(arguments.model)
    timeline = Timeline(predictor.class_names) if arguments.timeline is not None else None
    writes = arguments.out is not None or timeline is not None
    say = print_while_read if writes else functools.partial(print, flush=True)
    unreadable, reports = 0, []
    failure: Exception | None = None
    with catch_stop_signals() as stopped:
        with contextlib.ExitStack() as stack:
            write = stack.enter_context(window_file(arguments.out)) if arguments.out else None
            outputs = _Outputs(write, timeline, say)
            try:
                for video in videos:
                    with told_if_unreadable(video, videos) as failures:
                        report = _report(video, predictor, options, outputs, stopped, arguments)
                        reports.append(report)
                    unreadable += len(failures)
                    if stopped():
                        break
            except Exception as error:  # what was scored before is kept
                failure = error
            if not outputs.windows:  # here, so that no file is left
                if failure is not None:
                    raise failure
                stopped.check()
                check_readable(unreadable, videos)
        if timeline is not None:
            timeline.save(arguments.timeline, arguments.top, title=os.path.basename(videos[0]))
        for written in filter(None, (arguments.out, arguments.timeline)):
            say_beside(f"Wrote {written}", say, arguments)
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


def _options(arguments: argparse.Namespace, videos: list[str]) -> WindowOptions:
    from keras_t3d.inference.options import WindowOptions
    from keras_t3d.inference.smoothing import parse_smoothing
    from keras_t3d.inference.timeline import check_timeline_path
    from keras_t3d.inference.window_records import check_window_path

    if arguments.views is not None:
        raise ValueError(
            "--views is for one answer a video; windows cover it by themselves, --hop S apart. "
            f"Received: --views {arguments.views} with windows"
        )
    options = WindowOptions(
        hop=arguments.hop,
        smoothing=None if arguments.smoothing is None else parse_smoothing(arguments.smoothing),
        batch_size=1 if arguments.batch_size is None else arguments.batch_size,
    )
    if arguments.out is not None:
        check_window_path(arguments.out)
    if arguments.timeline is not None:
        check_timeline_path(arguments.timeline)
        if len(videos) > 1:
            raise ValueError(
                "--timeline draws one video: name one, or use --out windows.csv for all. "
                f"Received: {len(videos)} videos"
            )
    return options


@dataclasses.dataclass
class _Outputs:
    """Where windows go, and how many went there."""

    write: Callable[[dict[str, Any]], None] | None
    timeline: Timeline | None
    say: Callable[..., None]
    windows: int = 0


def _report(
    video: str,
    predictor: Predictor,
    options: WindowOptions,
    outputs: _Outputs,
    stopped: Callable[[], bool],
    arguments: argparse.Namespace,
) -> WindowSummary:
    from keras_t3d.data.video.reader import VideoReader
    from keras_t3d.inference import summarize_windows, window_record

    shown = arguments.windows and outputs.write is None
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(video))
        seconds = round(reader.header.seconds or 0)
        long = not shown and seconds > 10
        progress = stack.enter_context(progress_bar("scoring", "seconds")) if long else None
        if shown and not arguments.json:
            outputs.say(video)

        def tell(window: WindowPrediction) -> None:
            record = window_record(video, window, predictor.class_names, arguments.top)
            if outputs.write is not None:
                outputs.write(record)
            elif shown:
                outputs.say(_window_line(record, arguments.json))
            if outputs.timeline is not None:
                outputs.timeline.add(window)
            outputs.windows += 1
            if progress is not None:
                progress(round(window.end), max(seconds, round(window.end)))

        report = summarize_windows(
            predictor, reader, tell, top=arguments.top, options=options, should_stop=stopped
        )
    if report.num_windows:
        note = f": mean of {report.num_windows} window{'s' * (report.num_windows > 1)}"
        print_classes(video, report.classes, arguments, note, outputs.say)
    if report.stopped:
        print(f"\nkeras-t3d: scored up to second {report.end:.2f}: {video}", file=sys.stderr)
    if reader.damage:
        print(
            f"keras-t3d: damaged, scored as far as it decodes ({reader.damage}): {video}",
            file=sys.stderr,
        )
    return report


def _window_line(record: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(record, ensure_ascii=False)
    classes = ", ".join(f"{c['class']} {c['probability']:.1%}" for c in record["classes"])
    return f"  {record['start']:9.2f} to {record['end']:9.2f} s  {classes}"

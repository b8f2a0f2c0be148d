"""`keras-t3d predict`: classify videos, as a whole or window by window."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.beam import add_runner, runs_on_beam, split_beam_options
from keras_t3d.cli.bulk import add_videos, bulk_options, print_report
from keras_t3d.cli.options import MODEL, add_options, add_window_options
from keras_t3d.cli.output import for_each_video, print_classes
from keras_t3d.cli.predict_windows import predict_windows
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.sources.named_videos import named_videos
from keras_t3d.data.video.damage import warn_of_damage
from keras_t3d.data.video.errors import VideoError
from keras_t3d.errors import check_argument, check_integer
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.predict import predict_video
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_videos(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write to this .jsonl, .csv or .parquet file, and resume where a killed run stopped; "
        "with --windows, to this .json or .csv file",
    )
    add_options(parser, predict_video, skip=("num_views",))
    # Predictions of whole videos and of windows have defaults of their own.
    parser.set_defaults(batch_size=None)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    add_runner(parser, "VIDEO")
    windows = parser.add_argument_group("over time, with a window that slides over each video")
    windows.add_argument("--windows", action="store_true", help="print the classes of each window")
    windows.add_argument(
        "--timeline", metavar="PNG", help="draw the top classes over time, of one video"
    )
    add_window_options(windows, skip=("batch_size",))


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    words, beam_options = split_beam_options(words)
    arguments = parser.parse_args(words)
    check_integer("top", arguments.top, 1, 5)
    if runs_on_beam(arguments):
        _write_classes_with_beam(arguments, beam_options)
        return
    videos = named_videos(arguments.videos)
    if arguments.windows or arguments.timeline is not None:
        predict_windows(arguments, videos)
        return
    _check_whole_videos(arguments)
    if arguments.out is None:
        _print_classes_of(videos, arguments)
    else:
        _write_classes_of(videos, arguments)


def _check_whole_videos(arguments: jsonargparse.Namespace) -> None:
    for name in ("hop", "smoothing"):
        value, default = getattr(arguments, name), getattr(WindowOptions(), name)
        rule = "left out without --windows or --timeline: add --windows"
        check_argument(name, value, value == default, rule)


def _print_classes_of(videos: Sequence[VideoEntry], arguments: jsonargparse.Namespace) -> None:
    from keras_t3d.inference import predict_videos
    from keras_t3d.inference.predictor import top_classes

    options = bulk_options(arguments)
    predictor = loading.predictor(arguments.model)
    results = predict_videos(predictor, videos, options)

    def print_result(entry: VideoEntry) -> None:
        result = next(results)
        if result.values is None:
            raise VideoError(f"{result.error}: {entry.path}")
        warn_of_damage(result.video, result.damage)
        classes = top_classes(result.values, predictor.class_names, arguments.top)
        print_classes(result.video, classes, arguments)

    for_each_video(videos, print_result)


def _write_classes_of(videos: Sequence[VideoEntry], arguments: jsonargparse.Namespace) -> None:
    from keras_t3d.inference import write_predictions

    _check_printed_as_text(arguments)
    model, out, options = arguments.model, arguments.out, bulk_options(arguments)
    loading.prepare(model)
    loading.print_processors(model)
    with progress_bar("predicting", "videos") as progress:
        report = write_predictions(
            model, videos, out, options, top=arguments.top, progress=progress
        )
    print_report(report)


def _write_classes_with_beam(
    arguments: jsonargparse.Namespace, beam_options: Sequence[str]
) -> None:
    for name in ("windows", "timeline"):
        value, rule = getattr(arguments, name), "left out with --runner beam"
        check_argument(name, value, not value, rule)
    _check_whole_videos(arguments)
    _check_printed_as_text(arguments)
    rule = "a file with --runner beam, for example scores.jsonl"
    check_argument("out", arguments.out, arguments.out is not None, rule)
    loading.prepare(arguments.model)
    from keras_t3d.inference.bulk.beam import write_predictions_with_beam

    report = write_predictions_with_beam(
        arguments.model,
        arguments.videos,
        arguments.out,
        bulk_options(arguments),
        top=arguments.top,
        videos_at=arguments.videos_at,
        beam_options=beam_options,
    )
    print_report(report)


def _check_printed_as_text(arguments: jsonargparse.Namespace) -> None:
    rule = "left out with --out, whose suffix tells the format"
    check_argument("json", arguments.json, not arguments.json, rule)

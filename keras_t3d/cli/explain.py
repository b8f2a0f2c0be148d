"""`keras-t3d explain`: show where in a video a network finds the evidence for a class."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.artifact_files import check_model_exists
from keras_t3d.cli import loading
from keras_t3d.cli.options import add_options, selected
from keras_t3d.evaluation.explained_video import explain_video
from keras_t3d.inference.artifact_formats import check_has_layers
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=".keras file or run directory")
    parser.add_argument("path", metavar="VIDEO", help="video file")
    parser.add_argument(
        "--out", required=True, metavar="MP4", help="write the video with heat to this file"
    )
    add_options(parser, explain_video, skip=("progress",), flags={"class_name": "--class"})


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    check_model_exists(arguments.model)
    check_has_layers(arguments.model)
    loading.prepare(arguments.model)
    loading.print_processors(arguments.model)
    from keras_t3d.inference.signals import catch_stop_signals
    from keras_t3d.inference.timeline import format_time

    with catch_stop_signals() as stopped, progress_bar("explaining", "steps") as progress:

        def report(done: int, total: int) -> None:
            stopped.check()
            progress(done, total)

        explained = explain_video(**selected(arguments, explain_video), progress=report)
    times, heat = explained.over_time()
    hottest = format_time(times[heat.argmax()])
    print(f"Wrote {arguments.out}: {explained.class_name}, most heat at {hottest}")

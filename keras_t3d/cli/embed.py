"""`keras-t3d embed`: write the embeddings of videos."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.bulk import add_videos, bulk_options, print_report
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help=".keras file, run directory, .onnx file or OpenVINO folder"
    )
    add_videos(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="write to this .npz or .parquet file, and resume where a killed run stopped",
    )


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    options = bulk_options(arguments)
    loading.prepare(arguments.model)
    from keras_t3d.inference import write_embeddings

    loading.print_processors(arguments.model)
    with progress_bar("embedding", "videos") as progress:
        report = write_embeddings(
            arguments.model, arguments.videos, arguments.out, options, progress=progress
        )
    print_report(report)

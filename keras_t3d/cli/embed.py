"""`keras-t3d embed`: write the embeddings of videos."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli import loading
from keras_t3d.cli.beam import add_runner, runs_on_beam, split_beam_options
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
    add_runner(parser, "VIDEO")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    words, beam_options = split_beam_options(words)
    arguments = parser.parse_args(words)
    options = bulk_options(arguments)
    model, videos, out = arguments.model, arguments.videos, arguments.out
    loading.prepare(model)
    if runs_on_beam(arguments):
        from keras_t3d.inference.bulk.beam import write_embeddings_with_beam

        report = write_embeddings_with_beam(
            model,
            videos,
            out,
            options,
            videos_at=arguments.videos_at,
            beam_options=beam_options,
        )
        print_report(report)
        return
    from keras_t3d.inference import write_embeddings

    loading.print_processors(model)
    with progress_bar("embedding", "videos") as progress:
        report = write_embeddings(model, videos, out, options, progress=progress)
    print_report(report)

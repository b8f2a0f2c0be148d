"""`keras-t3d convert`: convert videos to clip shards, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.beam import add_runner, runs_on_beam, split_beam_options
from keras_t3d.cli.options import add_options, selected
from keras_t3d.data.conversion.convert import convert
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.report import ConversionReport
from keras_t3d.data.sources.listing import Listing
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="folder or csv file that lists the videos")
    parser.add_argument("out", metavar="OUT", help="new folder for the shards")
    add_options(parser, ConversionOptions)
    add_runner(parser, "SOURCE")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    words, beam_options = split_beam_options(words)
    arguments = parser.parse_args(words)
    options = ConversionOptions(**selected(arguments, ConversionOptions))
    if runs_on_beam(arguments):
        from keras_t3d.data.conversion.beam import convert_with_beam

        report = convert_with_beam(
            arguments.source,
            arguments.out,
            options,
            videos_at=arguments.videos_at,
            beam_options=beam_options,
            listed=_print_listing,
        )
    else:
        report = _convert_here(arguments, options)
    counts = ", ".join(f"{count} {split}" for split, count in report.videos.items() if count)
    print(f"Wrote {report.folder}: {counts} videos, {report.bytes / 2**20:.1f} MiB of shards")
    if report.cut:
        parts = sum(report.cut.values())
        print(f"{len(report.cut)} longer than {arguments.max_seconds:g} s: cut into {parts} parts")
    if report.rejects:
        files = "1 file" if len(report.rejects) == 1 else f"{len(report.rejects)} files"
        print(f"{files} rejected: see {report.folder}/rejects.csv")
    for video in report.notes:
        print(f"Note: {video['video']}: {video['note']}")
    for video in report.damaged:
        print(
            f"Damaged, converted without what does not decode: {video['video']} ({video['reason']})"
        )


def _print_listing(listing: Listing) -> None:
    print(listing.summary(), flush=True)


def _convert_here(
    arguments: jsonargparse.Namespace, options: ConversionOptions
) -> ConversionReport:
    with progress_bar("converting", "videos") as progress:
        return convert(
            arguments.source, arguments.out, options, progress=progress, listed=_print_listing
        )

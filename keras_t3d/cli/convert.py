"""`keras-t3d convert`: videos to clip shards, here or on a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.cli.command import add_command
from keras_t3d.cli.progress import progress_bar
from keras_t3d.data.sources.layouts import LAYOUTS

if TYPE_CHECKING:
    from keras_t3d.data.conversion.report import ConversionReport


def add(commands: Any) -> None:
    convert = add_command(commands, "convert", run, "videos to clip shards")
    convert.add_argument(
        "source", metavar="SOURCE", help="folder or csv file that lists the videos"
    )
    convert.add_argument("out", metavar="OUT", help="new folder for the shards")
    convert.add_argument(
        "--layout",
        default="folder",
        choices=LAYOUTS,
        help="folder: <split>/<class>/<video> or <class>/<video>; csv: columns path,label,split "
        "and maybe start,end in seconds; unlabelled: videos anywhere below a folder; the others as "
        "the datasets are published",
    )
    convert.add_argument(
        "--annotations", metavar="PATH", help="folder or file of the dataset's official lists"
    )
    convert.add_argument(
        "--split-id", type=int, metavar="N", help="which of the dataset's official splits, 1 to 3"
    )
    convert.add_argument(
        "--split-ratio",
        metavar="R",
        help="where no splits are named: share of training videos (0.8), or train:val:test "
        "(0.7:0.1:0.2), decided by a hash of each video's name",
    )
    convert.add_argument(
        "--group-regex",
        metavar="RE",
        help="with --split-ratio: videos whose names give the same first group stay together",
    )
    convert.add_argument(
        "--short-side", type=int, default=128, metavar="PIXELS", help="frames are shrunk to this"
    )
    convert.add_argument("--jpeg-quality", type=int, default=90, metavar="Q", help="1 to 100")
    convert.add_argument(
        "--max-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="longer videos are cut into records of at most this length",
    )
    convert.add_argument("--seed", type=int, default=0, help="seed of the order in the shards")
    convert.add_argument(
        "--workers", type=int, metavar="N", help="decoding processes (default: the cores)"
    )
    convert.add_argument(
        "--time-limit",
        type=float,
        default=120.0,
        metavar="S",
        help="a video that gives no further frame for this many seconds is rejected",
    )
    convert.add_argument(
        "--runner",
        default="local",
        choices=("local", "beam"),
        help="beam: on a cluster, with Apache Beam's own options after `--`",
    )
    convert.add_argument(
        "--videos-at",
        metavar="PLACE",
        help="with --runner beam: where the workers find SOURCE, a folder or gs://...",
    )
    convert.add_argument(
        "--max-rejects", type=int, metavar="N", help="more rejects than this fail the run"
    )


def run(arguments: argparse.Namespace, beam_options: Sequence[str] = ()) -> None:
    options = vars(arguments).copy()
    del options["run"]
    if options.pop("runner") == "beam":
        report = _convert_with_beam(options, beam_options)
    else:
        report = _convert_here(options, beam_options)
    counts = ", ".join(f"{count} {split}" for split, count in report.videos.items() if count)
    print(f"Wrote {report.folder}: {counts} videos, {report.bytes / 2**20:.1f} MiB of shards")
    if report.cut:
        parts = sum(report.cut.values())
        print(f"{len(report.cut)} longer than {arguments.max_seconds:g} s: cut into {parts} parts")
    if report.rejects:
        print(f"{len(report.rejects)} files rejected: see {report.folder}/rejects.csv")
    for video in report.damaged:
        print(f"Damaged, converted as far as it decodes: {video['video']} ({video['reason']})")


def _convert_here(options: dict[str, Any], beam_options: Sequence[str]) -> ConversionReport:
    from keras_t3d.data.conversion.convert import convert

    if beam_options or options.pop("videos_at"):
        raise ValueError(
            "--videos-at, and options after `--`, are for Apache Beam: add --runner beam. "
            f"Received: --runner local, {list(beam_options)}"
        )
    with progress_bar("converting", "videos") as progress:
        return convert(**options, progress=progress)


def _convert_with_beam(options: dict[str, Any], beam_options: Sequence[str]) -> ConversionReport:
    from keras_t3d.data.conversion.beam import convert_with_beam

    if options.pop("workers"):
        raise ValueError(
            "--workers is for --runner local: Beam's runners have options of their own, such as "
            "`-- --direct_num_workers 4`. Received: --runner beam with --workers"
        )
    return convert_with_beam(**options, beam_options=beam_options)

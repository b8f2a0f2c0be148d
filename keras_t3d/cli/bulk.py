"""What the commands that read many videos have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonargparse

from keras_t3d.cli.options import add_options, given
from keras_t3d.cli.output import check_all_read
from keras_t3d.inference.bulk.options import BulkOptions

if TYPE_CHECKING:
    from keras_t3d.inference import BulkReport

VIDEOS = "video files, folders of them, or csv files with the column path"


def add_videos(parser: jsonargparse.ArgumentParser) -> None:
    """Adds the videos, and how they are read."""
    parser.add_argument("videos", metavar="VIDEO", nargs="+", help=VIDEOS)
    add_options(parser, BulkOptions, flags={"num_views": "--views"})


def bulk_options(arguments: jsonargparse.Namespace) -> BulkOptions:
    """Returns the BulkOptions of a command line."""
    return BulkOptions(**given(arguments, BulkOptions))


def print_report(report: BulkReport) -> None:
    """Prints what was written.

    Raises:
        KerasT3DError: if some videos could not be read.
    """
    damaged = f", {report.damaged} of them damaged" if report.damaged else ""
    print(f"Wrote {report.path}: {report.videos} videos{damaged}")
    check_all_read(report.unreadable, report.videos)

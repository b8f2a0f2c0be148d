"""Flags of commands that run on this machine, or on a cluster with Apache Beam."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jsonargparse

from keras_t3d.errors import InvalidArgumentError


def add_runner(parser: jsonargparse.ArgumentParser, source: str) -> None:
    """Adds the flags that choose where a command runs.

    Args:
        parser: parser of the command.
        source: what the command line calls the videos, for example `"SOURCE"`.
    """
    parser.add_argument(
        "--runner",
        default="local",
        choices=("local", "beam"),
        help="beam runs on a cluster; Apache Beam's own options follow `--`",
    )
    parser.add_argument(
        "--videos-at",
        metavar="PLACE",
        help=f"with --runner beam: where the workers find {source}, a folder or gs://...",
    )


def split_beam_options(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Returns the words of a command line before `--`, and with --runner beam its options after."""
    separator = words.index("--") if "--" in words else len(words)
    before = words[:separator]
    chosen = {"--runner=beam", "--runner beam"}
    if chosen.isdisjoint((*before, *map(" ".join, itertools.pairwise(before)))):
        return words, ()
    return before, words[separator + 1 :]


def runs_on_beam(arguments: jsonargparse.Namespace) -> bool:
    """Returns whether a command runs with Apache Beam.

    Raises:
        InvalidArgumentError: if it does not, and has an option for it.
    """
    if arguments.runner == "beam":
        return True
    if arguments.videos_at:
        raise InvalidArgumentError(
            "`videos_at` is for Apache Beam: add --runner beam. "
            f"Received: --runner local, {arguments.videos_at}",
            argument="videos_at",
        )
    return False

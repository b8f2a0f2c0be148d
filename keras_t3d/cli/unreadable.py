"""Videos that cannot be read, or not whole."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from keras_t3d.cli.command import CommandError


@contextmanager
def told_if_unreadable(video: str, videos: Sequence[str]) -> Iterator[list[Exception]]:
    """Says that a video cannot be read and goes on; where it is the only one, fails."""
    from keras_t3d.data.video.errors import VideoError

    failures: list[Exception] = []
    try:
        yield failures
    except VideoError as error:
        if len(videos) == 1:
            raise
        failures.append(error)
        print(f"keras-t3d: {error}", file=sys.stderr)


def check_readable(unreadable: int, videos: Sequence[str]) -> None:
    if unreadable:
        raise CommandError(f"{unreadable} of {len(videos)} videos could not be read")


@contextmanager
def told_if_damaged() -> Iterator[None]:
    """Says which videos did not decode to their end, as a line without Python's words."""
    from keras_t3d.data.video.errors import DamagedVideoWarning

    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", DamagedVideoWarning)
        yield
    for one in noted:
        if issubclass(one.category, DamagedVideoWarning):
            print(f"keras-t3d: {one.message}", file=sys.stderr)
        else:
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)

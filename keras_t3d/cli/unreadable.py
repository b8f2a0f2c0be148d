"""Videos that cannot be read, or only in part."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from keras_t3d.errors import KerasT3DError


@contextmanager
def collect_unreadable(video: str, videos: Sequence[str]) -> Iterator[list[Exception]]:
    """Prints that a video cannot be read, and continues; raises if it is the only video."""
    from keras_t3d.data import VideoError

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
        raise KerasT3DError(f"{unreadable} of {len(videos)} videos could not be read")


@contextmanager
def print_damage() -> Iterator[None]:
    """Prints warnings about damaged videos as one line each."""
    from keras_t3d.data import DamagedVideoWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DamagedVideoWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, DamagedVideoWarning):
            print(f"keras-t3d: {warning.message}", file=sys.stderr)
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )

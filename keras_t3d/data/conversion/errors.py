"""The error of a conversion that cannot continue."""

from __future__ import annotations

import contextlib
import errno
import pathlib
from collections.abc import Iterator

from keras_t3d.errors import KerasT3DError


class ConversionError(KerasT3DError, RuntimeError):
    """A conversion cannot continue, for a reason other than a single video."""


@contextlib.contextmanager
def explained_full_disk(folder: pathlib.Path) -> Iterator[None]:
    """Replaces the OSError of a full disk by a ConversionError that states what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full_disk_error(folder) from None


def full_disk_error(folder: pathlib.Path) -> ConversionError:
    """Returns the error of a full disk."""
    return ConversionError(
        f"The disk of {folder} is full. Free some space, then re-run the command to resume."
    )

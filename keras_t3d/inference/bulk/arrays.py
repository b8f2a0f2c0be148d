"""Writes arrays to a `.npz` file item by item, in memory that does not grow with them."""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.inference.bulk.tables import utf8


@dataclasses.dataclass(frozen=True)
class StreamedArray:
    """An array that is written along its first axis.

    Attributes:
        dtype: of the whole array.
        shape: of the whole array.
        items: its items along the first axis.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    items: Iterable[Any]


def text_array(texts: Callable[[], Iterator[str]]) -> StreamedArray:
    """Returns an array of texts, of which each call returns the same."""
    count, longest = 0, 1
    for text in texts():
        count, longest = count + 1, max(longest, len(utf8(text)))
    return StreamedArray(np.dtype(f"<U{longest}"), (count,), map(utf8, texts()))


def write_npz(arrays: Mapping[str, StreamedArray], path: pathlib.Path) -> None:
    """Writes arrays as `numpy.savez` does, with the same bytes at any time of the day."""
    with written_beside(path) as part, zipfile.ZipFile(part, "w") as file:
        for name, array in arrays.items():
            # A ZipInfo of its own has no time.
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(
                    member,
                    {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape},
                )
                for item in array.items:
                    member.write(np.asarray(item, array.dtype).tobytes())

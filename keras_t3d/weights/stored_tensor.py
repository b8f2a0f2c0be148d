"""Tensors in PyTorch's files: views of storages that are read when a tensor is asked for."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import sys
import zlib
from typing import Any

import ml_dtypes
import numpy as np

# PyTorch's types by name. Old versions of ml_dtypes lack some.
DTYPES: dict[str, np.dtype[Any]] = {
    **{
        name: np.dtype(name)
        for name in (
            *("float64", "float32", "float16", "complex128", "complex64", "bool"),
            *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        )
    },
    **{
        name: np.dtype(getattr(ml_dtypes, name))
        for name in (
            *("bfloat16", "float8_e5m2", "float8_e4m3fn"),
            *("float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu"),
        )
        if hasattr(ml_dtypes, name)
    },
}
_FLOATS = tuple(name for name in DTYPES if name.startswith(("float", "bfloat")))


@dataclasses.dataclass(eq=False)
class Storage:
    """The numbers that tensors share: consecutive bytes of a file.

    Args:
        path: the file.
        size: number of bytes.
        position: where they begin; None until the reader of the file has found it.
        byte_order: `"little"` or `"big"`.
        crc: their CRC-32; None if the file has none.
    """

    path: pathlib.Path
    size: int
    position: int | None = None
    byte_order: str = "little"
    crc: int | None = None
    _arrays: dict[Any, np.ndarray] = dataclasses.field(default_factory=dict, repr=False)

    def read(self) -> bytes:
        """Returns the bytes; raises ValueError if they are damaged or end too early."""
        if self.position is None:
            raise ValueError("a storage is missing")
        with open(self.path, "rb") as file:
            file.seek(self.position)
            data = file.read(self.size)
        if len(data) != self.size:
            raise ValueError("the file ends within a storage")
        if self.crc is not None and zlib.crc32(data) != self.crc:
            raise ValueError("a storage has another checksum than the file records")
        return data

    def array(self, dtype: str, in_float32: bool, conjugate: bool, negative: bool) -> np.ndarray:
        """Returns all whole numbers of a type; converts them once, however many views there are."""
        key = (dtype, in_float32, conjugate, negative)
        if key not in self._arrays:
            kind = DTYPES[dtype]
            array = np.frombuffer(self.read(), np.uint8)
            array = array[: self.size // kind.itemsize * kind.itemsize]
            if self.byte_order != sys.byteorder:
                word = kind.itemsize // 2 if kind.kind == "c" else kind.itemsize
                array = array.view(f"u{word}").byteswap()
            array = array.view(kind)
            array = np.conj(array) if conjugate else array
            array = np.negative(array) if negative else array
            if in_float32 and dtype in _FLOATS:
                with np.errstate(all="ignore"):  # too large for float32: infinite, as in PyTorch
                    array = array.astype(np.float32, copy=False)
            self._arrays[key] = array
        return self._arrays[key]


@dataclasses.dataclass(frozen=True)
class StorageView:
    """A part of a storage, and the type of its numbers.

    Args:
        storage: the storage.
        dtype: name of the type; `"uint8"` for storages without a type.
        start: first byte.
        size: number of bytes.
    """

    storage: Storage
    dtype: str
    start: int
    size: int


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: shape and strides over a storage, checked to stay within it.

    Args:
        view: the part of a storage that the tensor may use.
        offset: first element, in elements.
        shape: size of each axis.
        strides: step along each axis, in elements.
        dtype: name of the type, such as `"bfloat16"`.
        conjugate: whether the numbers are the conjugates of those in the storage.
        negative: whether the numbers are the negatives of those in the storage.
    """

    view: StorageView
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    conjugate: bool = False
    negative: bool = False

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("offset, sizes and strides of a tensor must be integers from 0")
        if len(self.shape) != len(self.strides):
            raise ValueError("a tensor has more sizes than strides, or fewer")
        itemsize = DTYPES[self.dtype].itemsize
        if self.view.start % itemsize:
            raise ValueError("a view begins within a number")
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if 0 not in self.shape and (last + 1) * itemsize > self.view.size:
            raise ValueError("a tensor reaches beyond its storage")
        if math.prod(size or 1 for size in self.shape) * 8 >= 2**63:
            raise ValueError("a tensor has too many numbers")

    def to_numpy(self, *, in_float32: bool = False) -> np.ndarray:
        """Returns a read-only view of the tensor's storage, which is read on the first call.

        Args:
            in_float32: convert floats of other types to float32.
        """
        itemsize = DTYPES[self.dtype].itemsize
        view = self.view
        array = view.storage.array(self.dtype, in_float32, self.conjugate, self.negative)
        if 0 in self.shape:
            return np.zeros(self.shape, array.dtype)
        strides = [
            stride * array.itemsize if size > 1 else 0
            for size, stride in zip(self.shape, self.strides, strict=True)
        ]
        start = (view.start // itemsize + self.offset) * array.itemsize
        tensor: np.ndarray = np.ndarray(
            self.shape, array.dtype, array.view(np.uint8), start, strides
        )
        tensor.flags.writeable = False
        return tensor

"""Reads and writes TFRecord files without TensorFlow: framing, checksums, offsets.

A record is framed as length (8 bytes), checksum of the length (4), data, checksum of
the data (4), little-endian; checksums are CRC-32C, masked.

Reference:
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import google_crc32c
import numpy as np

from keras_t3d.data.shards.errors import RecordError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def framed(data: bytes) -> bytes:
    """Returns a record with its framing, as in a file."""
    length = len(data).to_bytes(8, "little")
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    masked = ((crc >> 15) | (crc << 17)) + 0xA282EAD8
    return _FOOTER.pack(masked & 0xFFFFFFFF)


class RecordWriter:
    """Writes a TFRecord file.

    Args:
        path: path of the file, which replaces an existing one.

    Example:

    ```python
    with RecordWriter("train-00000-of-00001.tfrecord") as writer:
        writer.write(record)
    ```
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__

    def write(self, data: bytes) -> None:
        """Appends one record."""
        self._file.write(framed(data))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def record_offsets(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the offset of each record of a file, reading only the headers.

    Args:
        path: path of a TFRecord file.

    Returns:
        int64 array of shape (records,), in bytes.

    Raises:
        RecordError: if a header is damaged, or the last record is incomplete.
    """
    offsets = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < size:
            offsets.append(offset)
            offset += _HEADER.size + record_length(file, offset) + _FOOTER.size
            if offset > size:
                raise RecordError(f"{_place(file, offsets[-1])} ends in its middle")
    return np.array(offsets, np.int64)


def read_record(file: BinaryIO, offset: int) -> bytes:
    """Reads one record and verifies its checksums.

    Args:
        file: a TFRecord file, opened for reading in binary.
        offset: offset of the record, in bytes.

    Returns:
        Its data.

    Raises:
        RecordError: if header or data are damaged or incomplete.
    """
    length = record_length(file, offset)
    data, footer = file.read(length), file.read(_FOOTER.size)
    if len(data) < length or len(footer) < _FOOTER.size:
        raise RecordError(f"{_place(file, offset)} ends in its middle")
    if footer != _checksum(data):
        raise RecordError(f"{_place(file, offset)} is damaged: its data has another checksum")
    return data


def record_length(file: BinaryIO, offset: int) -> int:
    """Returns the length of a record's data, in bytes, from its header, and moves behind that.

    Raises:
        RecordError: if the header is damaged or incomplete.
    """
    file.seek(offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[8:] != _checksum(header[:8]):
        raise RecordError(f"{_place(file, offset)} has a damaged header")
    return _HEADER.unpack(header)[0]


def _place(file: BinaryIO, offset: int) -> str:
    return f"The record at byte {offset} of {file.name}"

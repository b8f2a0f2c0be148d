"""Reads the files of `torch.save` without PyTorch: zip archives, and the format before 1.6.

Reference: torch/serialization.py of PyTorch.
"""

from __future__ import annotations

import io
import os
import pathlib
import struct
import zipfile
from typing import IO, Any

from keras_t3d.weights.stored_tensor import DTYPES, Storage, StorageView
from keras_t3d.weights.torch_objects import UnsupportedContentError, checked_text
from keras_t3d.weights.torch_pickle import load_pickle

_MAGIC = 0x1950A86A20F9469CFC6C  # first object of the older format
_PROTOCOL = 1001  # second object
# Names, numbers and structure; the tensors' numbers are elsewhere in the file.
_MOST_PICKLE_BYTES = 64 * 2**20


def read_torch_file(path: str | os.PathLike[str]) -> Any:
    """Reads a file of `torch.save`, without running code in it.

    Args:
        path: the file, of any version since PyTorch 0.2.

    Returns:
        What was saved, with a `StoredTensor` for each tensor; its numbers are read from the file
        by `to_numpy`.

    Raises:
        ForeignObjectError: if the file contains objects that could run code.
        UnsupportedContentError: if it is a TorchScript archive or a file of PyTorch before 0.2, or
            contains sparse, quantized or other such tensors.
        ValueError, EOFError, KeyError, ...: if it is damaged.

    Example:

    ```python
    read_torch_file("r3d18-kinetics.pth")["fc.weight"].to_numpy().shape  # (400, 512)
    ```
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        start = file.read(512)
        if start.startswith(b"PK\x03\x04"):
            return _read_zip(path, file)
        if start[257:262] == b"ustar":
            raise UnsupportedContentError("tensors in the tar format of PyTorch before 0.2")
        return _read_stream(path, file)


# A zip archive: `<name>/data.pkl`, `<name>/byteorder`, and `<name>/data/<key>` for each storage.


def _read_zip(path: pathlib.Path, file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    if sum(entry.file_size for entry in entries.values()) > os.fstat(file.fileno()).st_size:
        raise ValueError("its entries are larger than the file, or compressed")
    pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise ValueError("it is not an archive of torch.save: there is no data.pkl in it")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries or any(n.startswith(f"{folder}code/") for n in entries):
        raise UnsupportedContentError("a TorchScript program (torch.jit.save)")
    byte_order = "little"
    if f"{folder}byteorder" in entries:
        byte_order = _stored(path, file, entries[f"{folder}byteorder"], 16).read().decode()
    if byte_order not in ("little", "big"):
        raise ValueError(f"unknown byte order {byte_order!r}")
    storages: dict[str, Storage] = {}

    def storage_view(dtype: str, key: str, count: int) -> StorageView:
        size = _byte_count(count, dtype)
        if key not in storages:
            storages[key] = _stored(path, file, entries[f"{folder}data/{key}"])
            storages[key].byte_order = byte_order
        if size > storages[key].size:
            raise ValueError("a storage is shorter than its tensors")
        return StorageView(storages[key], dtype, 0, size)

    data = _stored(path, file, entries[pickles[0]], _MOST_PICKLE_BYTES).read()
    return load_pickle(io.BytesIO(data), storage_view)


def _stored(
    path: pathlib.Path, file: IO[bytes], entry: zipfile.ZipInfo, most: int | None = None
) -> Storage:
    """Returns the bytes of an entry, which torch.save does not compress."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise UnsupportedContentError("compressed entries, which torch.save does not write")
    if most is not None and entry.file_size > most:
        raise UnsupportedContentError(f"an entry of more than {most} bytes, {entry.filename!r}")
    if entry.header_offset < 0:
        raise ValueError(f"the entry {entry.filename!r} is missing")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"the entry {entry.filename!r} is missing")
    name, extra = struct.unpack("<HH", header[26:])
    position = entry.header_offset + 30 + name + extra
    # PyTorch writes 0 if checksums are turned off.
    return Storage(path, entry.file_size, position, crc=entry.CRC or None)


# The older format: pickles of the magic number, the version, the machine, the object and the keys
# of the storages; then each storage: the number of elements, and the elements, little-endian.


def _read_stream(path: pathlib.Path, file: IO[bytes]) -> Any:
    file.seek(0)
    stream = io.BytesIO(file.read(_MOST_PICKLE_BYTES))
    if load_pickle(stream) != _MAGIC or load_pickle(stream) != _PROTOCOL:
        raise ValueError("it does not begin as files of torch.save do")
    load_pickle(stream)  # byte order and sizes of C's types on that machine, which do not matter
    roots: dict[str, tuple[Storage, str]] = {}
    views: dict[str, StorageView] = {}

    def storage_view(
        dtype: str, key: str, count: int, part: tuple[str, int, int] | None = None
    ) -> StorageView:
        size = _byte_count(count, dtype)
        storage, _ = roots.setdefault(key, (Storage(path, size), dtype))
        if part is None:
            if size > storage.size:
                raise ValueError("a storage is shorter than its tensors")
            return StorageView(storage, dtype, 0, size)
        name, offset, length = part
        start, size = _byte_count(offset, dtype), _byte_count(length, dtype)
        if start + size > storage.size:
            raise ValueError("a view reaches beyond its storage")
        return views.setdefault(checked_text(name), StorageView(storage, dtype, start, size))

    content = load_pickle(stream, storage_view)
    keys = load_pickle(stream)
    if type(keys) is not list or sorted(map(checked_text, keys)) != sorted(roots):
        raise ValueError("the list of storages has other storages than the tensors")
    position, end = stream.tell(), os.fstat(file.fileno()).st_size
    for key in keys:
        storage, dtype = roots[key]
        file.seek(position)
        (count,) = struct.unpack("<q", file.read(8))
        if _byte_count(count, dtype) != storage.size:
            raise ValueError("a storage has another size than its tensors")
        storage.position = position + 8
        position = storage.position + storage.size
        if position > end:
            raise EOFError("the file ends too early")
    return content


def _byte_count(count: Any, dtype: str) -> int:
    if type(count) is not int or count < 0:
        raise ValueError("the size of a storage must be an integer from 0")
    return count * DTYPES[dtype].itemsize

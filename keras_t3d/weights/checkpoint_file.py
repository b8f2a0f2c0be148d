"""Reads checkpoint files as NumPy arrays by name, without running code in them."""

from __future__ import annotations

import errno
import os
import pathlib
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.errors import KerasT3DError, MissingPackageError
from keras_t3d.weights.stored_tensor import StoredTensor
from keras_t3d.weights.torch_file import read_torch_file
from keras_t3d.weights.torch_objects import ForeignObjectError, UnsupportedContentError

_TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin")
_DAMAGES = (
    *(ValueError, TypeError, LookupError, EOFError, OverflowError, NotImplementedError),
    *(struct.error, zipfile.BadZipFile, zipfile.LargeZipFile),
)
_DEEPEST = 100  # dicts in dicts
_LONGEST = 2**23  # characters of all names


class CheckpointError(KerasT3DError, ValueError):
    """A checkpoint file is damaged, unsafe to load, or of another format."""


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a checkpoint file, without running code in it.

    Args:
        path: a `.pth`, `.pt`, `.tar` or `.bin` file of `torch.save`, or a `.safetensors` file,
            which needs the package safetensors. PyTorch is not needed.

    Returns:
        Read-only arrays by the names in the file, floats as float32. The names of tensors in a
        dict begin with its key and a slash: `"state_dict/conv1.weight"`.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if the file is damaged, has Python objects that could run code, or has
            no tensors.
        MissingPackageError: if safetensors is needed and not installed.

    Example:

    ```python
    tensors = read_checkpoint("resnet-18-kinetics.pth")
    tensors["state_dict/module.conv1.weight"].shape  # (64, 3, 7, 7, 7)
    ```
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.stat().st_size == 0:
        raise CheckpointError(
            f"The checkpoint file is empty: copy it again. Received: {str(path)!r}"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in _TORCH_SUFFIXES:
        return _read_torch(path)
    raise CheckpointError(
        f"A checkpoint must be a {', '.join(_TORCH_SUFFIXES)} file of PyTorch or a .safetensors "
        f"file, for example resnet-18-kinetics.pth. Received: {str(path)!r}"
    )


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise MissingPackageError(
            'To read a .safetensors file, install safetensors: pip install "keras-t3d[weights]".'
        ) from None
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(_damaged(path, error)) from error
    return {name: _as_float32(np.asarray(array)) for name, array in _checked(tensors, path).items()}


def _read_torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        content = read_torch_file(path)
        entries = _flat(content) if isinstance(content, Mapping) else content
        tensors = _checked(entries, path, StoredTensor)
        return {name: tensor.to_numpy(in_float32=True) for name, tensor in tensors.items()}
    except CheckpointError:
        raise
    except ForeignObjectError as error:
        raise CheckpointError(
            "The checkpoint contains more than tensors and numbers: loading it would run "
            f"{error}, so it was not loaded. If you trust the file, save only its tensors where "
            "it was made: torch.save(network.state_dict(), 'weights.pth'). "
            f"Received: {str(path)!r}"
        ) from error
    except UnsupportedContentError as error:
        raise CheckpointError(
            f"The checkpoint contains {error}, which this package does not read: save plain "
            "tensors where it was made, torch.save(network.state_dict(), 'weights.pth'). "
            f"Received: {str(path)!r}"
        ) from error
    except _DAMAGES as error:
        raise CheckpointError(_damaged(path, error)) from error


def _flat(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns the values of nested dicts by their keys, joined by slashes."""
    flat: dict[str, Any] = {}
    length = 0
    waiting = [("", 0, iter(entries.items()))]
    while waiting:
        prefix, depth, items = waiting[-1]
        key, value = next(items, (None, waiting))
        if value is waiting:
            waiting.pop()
            continue
        name = f"{prefix}{key}"
        length += len(name) + 1
        if depth == _DEEPEST or length > _LONGEST:
            raise UnsupportedContentError("dicts in dicts without end")
        if isinstance(value, Mapping):
            waiting.append((f"{name}/", depth + 1, iter(value.items())))
        else:
            flat[name] = value
    return flat


def _checked(tensors: Any, path: pathlib.Path, kind: type = np.ndarray) -> dict[str, Any]:
    """Returns the tensors by name, or raises CheckpointError if there are none."""
    entries = tensors if isinstance(tensors, Mapping) else {}
    found = {name: value for name, value in entries.items() if isinstance(value, kind)}
    if not found:
        holds = str(list(entries)[:5] or type(tensors).__name__)[:200]
        raise CheckpointError(
            "A checkpoint must be a dict of tensors by name, as network.state_dict() is, or have "
            f"one under a key. Received: {str(path)!r}, which contains {holds}"
        )
    return found


def _as_float32(array: np.ndarray) -> np.ndarray:
    return array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32)


def _damaged(path: pathlib.Path, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        "The checkpoint file is damaged, truncated, or not of the format of its name: "
        f"copy it again. Received: {str(path)!r} ({reason})"
    )

"""Reads PyTorch checkpoint files as NumPy arrays, without running code in them."""

from __future__ import annotations

import argparse
import errno
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.errors import KerasT3DError, MissingPackageError

_TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin")


class CheckpointError(KerasT3DError, ValueError):
    """A checkpoint file is damaged, unsafe to load, or of another format."""


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a checkpoint file, without running code in it.

    Args:
        path: a `.pth`, `.pt`, `.tar` or `.bin` file of `torch.save`, which needs PyTorch, or a
            `.safetensors` file, which needs safetensors.

    Returns:
        Arrays by the names in the file, floats as float32. The names of tensors in a dict begin
        with its key and a slash: `"state_dict/conv1.weight"`.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if the file is damaged, has Python objects that could run code, or has
            no tensors.
        MissingPackageError: if the package that reads such files is not installed.

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
        raise MissingPackageError(_missing("safetensors", "a .safetensors file")) from None
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(_damaged(path, error)) from error
    return {name: _as_float32(np.asarray(array)) for name, array in _checked(tensors, path).items()}


def _read_torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise MissingPackageError(_missing("torch", f"a {path.suffix} file")) from None
    try:
        # Scripts save their arguments beside the tensors: attributes without code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # of many classes, depending on the damage
        foreign = re.search(r"GLOBAL (\S+)|(?<=Trying to call reduce for )(.+)", str(error))
        if foreign is None:
            raise CheckpointError(_damaged(path, error)) from error
        raise CheckpointError(
            "The checkpoint contains more than tensors and numbers: loading it would run "
            f"{foreign[0].removeprefix('GLOBAL ')}, so it was not loaded. If you trust the file, "
            "save only its tensors where it was made: torch.save(network.state_dict(), "
            f"'weights.pth'). Received: {str(path)!r}"
        ) from error
    entries = _flat(loaded) if isinstance(loaded, Mapping) else loaded
    tensors = _checked(entries, path, torch.Tensor)
    return {name: _as_numpy(tensor) for name, tensor in tensors.items()}


def _flat(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns the values of nested dicts by their keys, joined by slashes."""
    flat: dict[str, Any] = {}
    for key, value in entries.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}/{name}": inner for name, inner in _flat(value).items()}
        else:
            flat[str(key)] = value
    return flat


def _checked(tensors: Any, path: pathlib.Path, kind: type = np.ndarray) -> dict[str, Any]:
    """Returns the tensors by name, or raises CheckpointError if there are none."""
    entries = tensors if isinstance(tensors, Mapping) else {}
    found = {name: value for name, value in entries.items() if isinstance(value, kind)}
    if not found:
        holds = list(entries)[:5] or type(tensors).__name__
        raise CheckpointError(
            "A checkpoint must be a dict of tensors by name, as network.state_dict() is, or have "
            f"one under a key. Received: {str(path)!r}, which contains {holds}"
        )
    return found


def _as_numpy(tensor: Any) -> np.ndarray:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _as_float32(array: np.ndarray) -> np.ndarray:
    return array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32)


def _missing(package: str, what: str) -> str:
    return (
        f"To read {what}, install {package}: pip install {package}, or "
        'pip install "keras-t3d[weights]" for all formats.'
    )


def _damaged(path: pathlib.Path, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        "The checkpoint file is damaged, truncated, or not of the format of its name: "
        f"copy it again. Received: {str(path)!r} ({reason})"
    )

"""Readers that take ReadOptions by name, so that tests can vary them like other arguments."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_t3d.data import ClipReader, ReadOptions

_OPTIONS = {field.name for field in dataclasses.fields(ReadOptions)}


def reader(shards, split, clip_spec, batch_size, **arguments) -> ClipReader:
    options = {name: arguments.pop(name) for name in _OPTIONS & arguments.keys()}
    return ClipReader(
        shards, split, clip_spec, batch_size, options=ReadOptions(**options), **arguments
    )


def load_clips(*args: Any, **arguments: Any) -> Any:
    return reader(*args, **arguments).as_tf_dataset()


def load_arrays(*args: Any, workers: int = 1, **arguments: Any) -> Any:
    return reader(*args, **arguments).as_py_dataset(workers=workers)


def load_unlabelled_clips(*args: Any, **arguments: Any) -> Any:
    return load_clips(*args, labelled=False, **arguments)


def load_unlabelled_arrays(*args: Any, **arguments: Any) -> Any:
    return load_arrays(*args, labelled=False, **arguments)

"""Checks the names of the classes of a network."""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Set
from typing import Any

from keras_t3d.artifact_files import is_class_name
from keras_t3d.errors import InvalidArgumentError


def listed_class_names(names: Any) -> list[str] | None:
    """Returns the names of an iterable that has an order, such as a generator; None for None."""
    if names is None:
        return None
    is_unordered = isinstance(names, Set) and not isinstance(names, KeysView)  # keys of a dict
    if isinstance(names, (str, bytes)) or is_unordered or not isinstance(names, Iterable):
        raise InvalidArgumentError(
            "`class_names` must be a list of names, one per class, in the order of the class ids, "
            f"for example ['run', 'walk']. Received: {names!r}",
            argument="class_names",
        )
    return list(names)


def checked_class_names(names: Iterable[str] | None, num_classes: int) -> tuple[str, ...]:
    """Returns one name per class; None names them "class_0", "class_1", ..."""
    names = listed_class_names(names)
    if names is None:
        return tuple(f"class_{index}" for index in range(num_classes))
    if len(names) != num_classes:
        raise InvalidArgumentError(
            f"`class_names` must be {num_classes} names, one per class. Received: {names!r}",
            argument="class_names",
        )
    # labels.txt has one name per line.
    invalid = [name for name in names if not is_class_name(name)]
    repeated = sorted({name for name in names if names.count(name) > 1} - set(invalid))
    if invalid or repeated:
        raise InvalidArgumentError(
            "`class_names` must be different, non-empty, single-line strings, "
            f"for example ['run', 'walk']. Received: {(invalid or repeated)!r} among them",
            argument="class_names",
        )
    return tuple(str(name) for name in names)

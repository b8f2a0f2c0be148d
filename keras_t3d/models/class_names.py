"""Checks the names of the classes of a network."""

from __future__ import annotations

from collections.abc import Sequence

from keras_t3d.artifact_files import is_class_name
from keras_t3d.errors import InvalidArgumentError


def checked_class_names(names: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    """Returns one name per class; None names them "class_0", "class_1", ..."""
    if names is None:
        return tuple(f"class_{index}" for index in range(num_classes))
    if isinstance(names, str) or len(names) != num_classes:
        raise InvalidArgumentError(
            f"`class_names` must be {num_classes} names, one per class. Received: {names!r}",
            argument="class_names",
        )
    # labels.txt has one name per line.
    invalid = [name for name in names if not is_class_name(name)]
    repeated = sorted({name for name in names if list(names).count(name) > 1} - set(invalid))
    if invalid or repeated:
        raise InvalidArgumentError(
            "`class_names` must be different, non-empty, single-line strings, "
            f"for example ['run', 'walk']. Received: {(invalid or repeated)!r} among them",
            argument="class_names",
        )
    return tuple(names)

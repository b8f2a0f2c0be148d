"""Printed classes and notes."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence

import jsonargparse


def print_classes(
    video: str,
    classes: Sequence[tuple[str, float]],
    arguments: jsonargparse.Namespace,
    note: str = "",
    write: Callable[..., None] = print,
) -> None:
    from keras_t3d.inference.window_records import class_records

    if arguments.json:
        write(json.dumps({"video": video, "classes": class_records(classes)}, ensure_ascii=False))
        return
    write(f"{video}{note}")
    for name, probability in classes:
        write(f"  {probability:6.1%}  {name}")


def print_unless_closed(text: str, end: str = "\n") -> None:
    """Prints; becomes silent once the reader is gone (`| head`, a closed terminal)."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # such as a full disk
            raise
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())

"""How answers are printed."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence


def print_classes(
    video: str,
    classes: Sequence[tuple[str, float]],
    arguments: argparse.Namespace,
    note: str = "",
    say: Callable[..., None] = print,
) -> None:
    from keras_t3d.inference.window_records import class_records

    if arguments.json:
        say(json.dumps({"video": video, "classes": class_records(classes)}, ensure_ascii=False))
        return
    say(f"{video}{note}")
    for name, probability in classes:
        say(f"  {probability:6.1%}  {name}")


def say_beside(text: str, say: Callable[..., None], arguments: argparse.Namespace) -> None:
    """Says what was written: not among JSON objects."""
    if arguments.json:
        print(text, file=sys.stderr)
    else:
        say(text)


def print_while_read(text: str, end: str = "\n") -> None:
    """Prints; where nobody reads any more (`| head`, a closed terminal), falls silent."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # a full disk, for one, is to be heard of
            raise
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())

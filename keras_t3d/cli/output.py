"""Printed classes and notes, and videos that cannot be read."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jsonargparse

from keras_t3d.errors import KerasT3DError

V = TypeVar("V")


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


def window_line(record: dict[str, Any], as_json: bool) -> str:
    """Returns the line of what `window_record` returns."""
    if as_json:
        return json.dumps(record, ensure_ascii=False)
    classes = ", ".join(f"{c['class']} {c['probability']:.1%}" for c in record["classes"])
    return f"  {record['start']:9.2f} to {record['end']:9.2f} s  {classes}"


def print_note(text: str) -> None:
    print(f"keras-t3d: {text}", file=sys.stderr)


def print_unless_closed(text: str, end: str = "\n") -> None:
    """Prints; becomes silent once the reader is gone (`| head`, a closed terminal)."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # such as a full disk
            raise
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def for_each_video(
    videos: Sequence[V],
    work: Callable[[V], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Calls `work` with each video, and prints which cannot be read.

    Raises:
        VideoError: if the only video cannot be read.
        KerasT3DError: after the last video, if some could not be read.
    """
    from keras_t3d.data import VideoError

    unreadable = 0
    for video in videos:
        try:
            work(video)
        except VideoError as error:
            if len(videos) == 1:
                raise
            unreadable += 1
            print_note(str(error))
        if should_stop():
            return
    check_all_read(unreadable, len(videos))


def check_all_read(unreadable: int, videos: int) -> None:
    """Raises a KerasT3DError if some videos could not be read."""
    if unreadable:
        raise KerasT3DError(f"{unreadable} of {videos} videos could not be read")

"""The results so far, in a file beside the one that is written, so that a killed run resumes.

The first line of `scores.csv.part` states the model, the videos and the options. Each further line
is the result of one video, as JSON.
"""

from __future__ import annotations

import array
import contextlib
import io
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.folder_lock import lock

Row = dict[str, Any]
Identity = Mapping[str, Any]


class PartFile:
    """Rows of an unfinished result, one per video.

    Attributes:
        num_views: number of views of each video that has a row.
    """

    def __init__(self, path: pathlib.Path, file: io.FileIO, identity: Identity) -> None:
        self._path, self._file = path, file
        self.num_views = array.array("L")
        self._keep_whole_lines(identity)

    def append(self, row: Row) -> None:
        """Adds the row of the next video, which survives if the process is killed."""
        self._file.write(_line(row))
        self.num_views.append(row["views"])

    def rows(self) -> Iterator[Row]:
        """Yields all rows."""
        with self._path.open("rb") as lines:
            next(lines)
            yield from map(json.loads, lines)

    def _keep_whole_lines(self, identity: Identity) -> None:
        """Drops what a killed process, or a machine without power, did not write completely."""
        kept, started = 0, None
        with self._path.open("rb") as lines:
            for line in lines:
                row = _parsed(line)
                if row is None:
                    break
                if started is None:
                    started = row
                    check_same(self._path, started, identity)
                else:
                    self.num_views.append(row["views"])
                kept += len(line)
        self._file.truncate(kept)
        if started is None:
            self._file.write(_line(identity))


@contextlib.contextmanager
def opened_part(out: str | os.PathLike[str], identity: Identity) -> Iterator[PartFile]:
    """Opens the part file of a result, new or left by a killed process, and removes it at the end.

    Args:
        out: the file that is written in the end, in the block.
        identity: what the rows depend on, as JSON values by name.

    Yields:
        A PartFile. If the block raises, its file is kept.

    Raises:
        InvalidArgumentError: if the rows in the file are of something else.
        FolderLockedError: if another process writes to it.
    """
    path = pathlib.Path(f"{os.fspath(out)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered: a line is written by one call, so that no kill loses a finished video.
    with path.open("ab", buffering=0) as file:
        lock(
            file,
            "Another process is writing this file: wait until it ends, or stop it. "
            f"Received: {os.fspath(out)}",
        )
        yield PartFile(path, file, identity)
    path.unlink(missing_ok=True)


def _line(values: Mapping[str, Any]) -> bytes:
    # File names need not be UTF-8; JSON escapes their other bytes.
    return json.dumps(values).encode("ascii") + b"\n"


def _parsed(line: bytes) -> Row | None:
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def check_same(part: str | os.PathLike[str], started: Row, identity: Identity) -> None:
    """Raises an InvalidArgumentError if unfinished results are of something else.

    Args:
        part: the file or folder that holds them.
        started: what they depend on.
        identity: what they should depend on.
    """
    differences = [
        f"`{name}` {_shown(started.get(name))}, now {_shown(value)}"
        for name, value in identity.items()
        if started.get(name) != value
    ]
    if differences:
        raise InvalidArgumentError(
            f"An unfinished run left results of other arguments: {'; '.join(differences)}. Re-run "
            f"it with the same ones, choose another file, or remove {part} to start again. "
            f"Received: {os.path.splitext(part)[0]}",
            argument="out",
        )


def _shown(value: Any) -> str:
    return "by default" if value is None else str(value)

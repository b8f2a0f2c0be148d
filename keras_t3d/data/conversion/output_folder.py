"""The output folder of a conversion: new, or an unfinished one to resume.

During a conversion, `OUT/.conversion` holds its fingerprint, the records and the outcome of each
video that waits for its shard, and a summary of each finished shard. Each file is written
completely or not at all, so that the process may be killed at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.shard import checksum
from keras_t3d.data.shards.shard_set import MANIFEST
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.folder_lock import lock

STATE = ".conversion"
FINGERPRINT = f"{STATE}/fingerprint"


class OutputFolder:
    """The state of a conversion on disk.

    Args:
        out: the folder of shards.
        plan: PlannedShards. A video is identified by its position in the plan.
    """

    def __init__(self, out: pathlib.Path, plan: Sequence[PlannedShard]) -> None:
        self.out = out
        self._state = out / STATE
        self._first = {}  # position of each shard's first video
        place = 0
        for shard in plan:
            self._first[shard.name] = place
            place += len(shard.entries)

    @contextlib.contextmanager
    def entered(self, fingerprint: str) -> Iterator[None]:
        """Creates the folder, or checks that it holds this conversion, unfinished.

        Locks the folder against other processes of this machine.

        Raises:
            InvalidArgumentError: if it holds anything else.
            KerasT3DError: if another process writes to it.
        """
        out = self.out
        names = [path.name for path in out.iterdir()] if out.exists() else []
        path = out / FINGERPRINT
        started = path.read_text() if path.is_file() else None
        check_start(out, names, started, fingerprint)
        if started is None:
            write_text(path, fingerprint)
        with path.open() as file:
            lock(
                file,
                "Another conversion is writing to this folder: wait until it ends, or stop it. "
                f"Received: {out}",
            )
            for unfinished in [*out.glob(".part-*"), *self._state.glob(".part-*")]:
                unfinished.unlink(missing_ok=True)
            yield

    def leave(self) -> None:
        """Removes the state of a finished conversion."""
        shutil.rmtree(self._state)

    def clear(self, remove: bool) -> None:
        """Removes shards and state, and with `remove` the folder, too."""
        for path in self.out.glob("*.tfrecord"):
            path.unlink()
        self.leave()
        if remove:
            self.out.rmdir()

    def places(self, shard: PlannedShard) -> range:
        """Returns the positions of a shard's videos in the plan."""
        first = self._first[shard.name]
        return range(first, first + len(shard.entries))

    def records_path(self, place: int) -> pathlib.Path:
        """Returns the path of a video's records until its shard is written."""
        return self._state / f"{place:07d}.tfrecord"

    def outcome(self, place: int) -> Outcome | None:
        """Returns the outcome of a video; None if it is not converted yet."""
        path = self._state / f"{place:07d}.json"
        return Outcome(**json.loads(path.read_text())) if path.is_file() else None

    def _known_outcome(self, place: int) -> Outcome:
        outcome = self.outcome(place)
        if outcome is None:
            raise ConversionError(
                f"{self._state} was modified: the outcome of video {place} of the plan is missing. "
                "Re-run the command to resume."
            )
        return outcome

    def keep_outcome(self, place: int, outcome: Outcome) -> None:
        """Records the outcome of a video; its records are at `records_path`."""
        write_text(self._state / f"{place:07d}.json", json.dumps(dataclasses.asdict(outcome)))

    def summary(self, shard: PlannedShard) -> dict[str, Any] | None:
        """Returns the summary of a finished shard; None if it is unfinished."""
        path = self.out / summary_file(shard.name)
        return json.loads(path.read_text()) if path.is_file() else None

    def write_shard(self, shard: PlannedShard) -> dict[str, Any]:
        """Writes the records of a shard's videos in order, and returns its summary."""
        path = self.out / shard.name
        outcomes = {place: self._known_outcome(place) for place in self.places(shard)}
        with written_beside(path) as part, part.open("wb") as file:
            for place, outcome in outcomes.items():
                if outcome.records:
                    with self.records_path(place).open("rb") as records:
                        shutil.copyfileobj(records, file, 2**20)
        summary = summarize_shard(path, shard, list(outcomes.values()))
        write_text(self.out / summary_file(shard.name), json.dumps(summary))
        for place in outcomes:
            self.records_path(place).unlink(missing_ok=True)
            (self._state / f"{place:07d}.json").unlink(missing_ok=True)
        return summary


def summary_file(shard: str) -> str:
    """Returns the path, within the folder, of a finished shard's summary."""
    return f"{STATE}/{shard}.json"


def check_start(
    out: str | os.PathLike[str], names: Iterable[str], started: str | None, fingerprint: str
) -> None:
    """Raises an InvalidArgumentError if a folder holds anything but this unfinished conversion.

    Args:
        out: the folder, for the error message.
        names: names of the files in it.
        started: fingerprint of the conversion that was started there; None if none was.
        fingerprint: fingerprint of this conversion.
    """
    names = set(names)
    if MANIFEST in names:
        raise InvalidArgumentError(
            "`out` already holds finished shards: choose another folder, or remove it first. "
            f"Received: {out}",
            argument="out",
        )
    if started is None and names - {STATE}:
        raise InvalidArgumentError(
            f"`out` must be new or empty, for example shards/. Received: {out}, which holds files",
            argument="out",
        )
    if started not in (None, fingerprint):
        raise InvalidArgumentError(
            "`out` holds an unfinished conversion of other videos or with other options: re-run "
            "it with the same options, choose another folder, or remove it first. "
            f"Received: {out}",
            argument="out",
        )


def summarize_shard(
    path: pathlib.Path, shard: PlannedShard, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Returns the facts that the manifest states about a shard and its videos.

    Args:
        path: path of the shard.
        shard: its plan.
        outcomes: of its videos, in order.
    """
    per_class: dict[str, int] = {}
    videos = list(zip(shard.entries, outcomes, strict=True))
    for entry, outcome in videos:
        if outcome.records:
            per_class[entry.label] = per_class.get(entry.label, 0) + 1
    return {
        "name": shard.name,
        "split": shard.split,
        "examples": sum(outcome.records for outcome in outcomes),
        "bytes": os.path.getsize(path),
        "sha256": checksum(path),
        "per_class": per_class,
        "rejects": [
            {"source": entry.video_id, "stage": "decode", "reason": outcome.reason}
            for entry, outcome in videos
            if outcome.reason is not None
        ],
        "damaged": [
            {"video": entry.video_id, "reason": outcome.damage}
            for entry, outcome in videos
            if outcome.damage is not None
        ],
        "notes": [
            {"video": entry.video_id, "note": outcome.note}
            for entry, outcome in videos
            if outcome.note is not None
        ],
        "cut": {entry.video_id: o.records for entry, o in videos if o.records > 1},
    }

"""The folder that a conversion writes: new, or an unfinished one to go on with.

While a conversion runs, `OUT/.conversion` holds what conversion it is, the records and
outcome of each video that waits for its shard, and a summary of each finished shard. All
are whole or absent, so that the process may be killed at any time.
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
from keras_t3d.data.conversion.isolation import ConversionError
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.shard_set import MANIFEST, checksum
from keras_t3d.folder_lock import lock

STATE = ".conversion"
FINGERPRINT = f"{STATE}/fingerprint"


class ConversionFolder:
    """What a conversion has done so far.

    Args:
        out: pathlib.Path. The folder of shards.
        plan: PlannedShards. A video is named by its place in the plan.
    """

    def __init__(self, out: pathlib.Path, plan: Sequence[PlannedShard]) -> None:
        self.out = out
        self._state = out / STATE
        self._first = {}  # place of each shard's first video
        place = 0
        for shard in plan:
            self._first[shard.name] = place
            place += len(shard.entries)

    @contextlib.contextmanager
    def entered(self, fingerprint: str) -> Iterator[None]:
        """Makes the folder, or checks that it holds the same conversion, unfinished.

        No other process of this machine can enter it meanwhile.

        Raises:
            ValueError: if it holds anything else, or another process is at it.
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
                "Another conversion is writing to OUT: wait for it, or stop it and run again. "
                f"Received: {out}",
            )
            for cut_short in [*out.glob(".part-*"), *self._state.glob(".part-*")]:
                cut_short.unlink(missing_ok=True)
            yield

    def leave(self) -> None:
        """Removes the state: the conversion is finished."""
        shutil.rmtree(self._state)

    def clear(self, remove: bool) -> None:
        """Removes shards and state, and the folder too if asked for: nothing came of it."""
        for path in self.out.glob("*.tfrecord"):
            path.unlink()
        self.leave()
        if remove:
            self.out.rmdir()

    # Videos that wait for their shard.

    def places(self, shard: PlannedShard) -> range:
        """The places of a shard's videos in the plan."""
        first = self._first[shard.name]
        return range(first, first + len(shard.entries))

    def records_path(self, place: int) -> pathlib.Path:
        """Where the records of a video lie until they go into their shard."""
        return self._state / f"{place:07d}.tfrecord"

    def outcome(self, place: int) -> Outcome | None:
        """What became of a video; None if that is still to be seen."""
        path = self._state / f"{place:07d}.json"
        return Outcome(**json.loads(path.read_text())) if path.is_file() else None

    def _known_outcome(self, place: int) -> Outcome:
        outcome = self.outcome(place)
        if outcome is None:
            raise ConversionError(
                f"{self._state} was changed from outside: video {place} of the plan has no outcome "
                "any more. Run again: it goes on."
            )
        return outcome

    def keep_outcome(self, place: int, outcome: Outcome) -> None:
        """Says that a video is done; its records lie at `records_path`."""
        write_text(self._state / f"{place:07d}.json", json.dumps(dataclasses.asdict(outcome)))

    # Shards.

    def summary(self, shard: PlannedShard) -> dict[str, Any] | None:
        """What a finished shard holds; None if it is unfinished."""
        path = self.out / summary_file(shard.name)
        return json.loads(path.read_text()) if path.is_file() else None

    def write_shard(self, shard: PlannedShard) -> dict[str, Any]:
        """Puts the records of a shard's videos together, in order, and summarises it."""
        path = self.out / shard.name
        outcomes = {place: self._known_outcome(place) for place in self.places(shard)}
        with written_beside(path) as part, part.open("wb") as file:
            for place, outcome in outcomes.items():
                if outcome.records:
                    with self.records_path(place).open("rb") as records:
                        shutil.copyfileobj(records, file, 2**20)
        summary = summarize_shard(path, shard, list(outcomes.values()))
        write_text(self.out / summary_file(shard.name), json.dumps(summary))
        self.drop_videos(shard)
        return summary

    def drop_videos(self, shard: PlannedShard) -> None:
        """Removes what waited for a shard that is finished."""
        for place in self.places(shard):
            self.records_path(place).unlink(missing_ok=True)
            (self._state / f"{place:07d}.json").unlink(missing_ok=True)


def summary_file(shard: str) -> str:
    """Returns where, in the folder, the summary of a finished shard lies."""
    return f"{STATE}/{shard}.json"


def check_start(
    out: str | os.PathLike[str], names: Iterable[str], started: str | None, fingerprint: str
) -> None:
    """Raises a ValueError where a folder holds anything but this conversion, unfinished.

    Args:
        out: the folder, for the error.
        names: str. What lies in it.
        started: str. Fingerprint of the conversion that was begun there; None if none was.
        fingerprint: str. That of this conversion.
    """
    names = set(names)
    if MANIFEST in names:
        raise ValueError(
            f"OUT already holds finished shards: choose another folder, or remove it first. "
            f"Received: {out}"
        )
    if started is None and names - {STATE}:
        raise ValueError(
            f"OUT must be new or empty, for example shards/. Received: {out}, which holds files"
        )
    if started not in (None, fingerprint):
        raise ValueError(
            "OUT holds an unfinished conversion of other videos or with other options: run "
            "it again as it was, choose another folder, or remove it first. "
            f"Received: {out}"
        )


def summarize_shard(
    path: pathlib.Path, shard: PlannedShard, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """What the manifest says of a shard, and of its videos.

    Args:
        path: where the shard lies.
        shard: PlannedShard.
        outcomes: Outcomes of its videos, in order.
    """
    per_class: dict[str, int] = {}
    videos = list(zip(shard.entries, outcomes, strict=True))
    for entry, outcome in videos:
        if outcome.records:
            per_class[entry.label] = per_class.get(entry.label, 0) + outcome.records
    return {
        "name": shard.name,
        "split": shard.split,
        "examples": sum(per_class.values()),
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
        "cut": {entry.video_id: o.records for entry, o in videos if o.records > 1},
    }

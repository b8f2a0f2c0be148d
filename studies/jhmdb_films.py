"""Converts JHMDB's official split 1 to shards, and holds out whole films of its training side.

Clips of one film look alike, so validation on a film that was also trained on would measure
memory. `shards/choosing` has the training side only, split into `train` and `val` by films, so
settings are chosen without any test clip; `shards/final` has the whole training side as `train`,
and `test`.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

from keras_t3d.atomic import write_text
from keras_t3d.data import ConversionOptions, convert
from keras_t3d.data.sources import SourceOptions, list_videos

HELD_OUT = 0.16  # share of each class's training clips, as far as its films allow
_SEED = 0
_SPLIT_ID = 1


@dataclasses.dataclass(frozen=True)
class FilmClip:
    """A clip of a film, and its side of the official split."""

    file: str
    label: str
    film: str
    split: str


def read_clips(videos: Path, annotations: Path | None) -> list[FilmClip]:
    """Reads the clips, their films and their side of split 1.

    Args:
        videos: folder with `manifest.csv` (file, label, source_group, split1).
        annotations: folder of the official `<class>_test_split1.txt`, which then define
            the split instead of the manifest.

    Raises:
        ValueError: if the manifest is missing, or the lists lack one of its clips.
    """
    path = videos / "manifest.csv"
    if not path.is_file():
        raise ValueError(
            "--videos must be a folder of videos with a manifest.csv of the columns file, label, "
            f"source_group and split1. Received: {videos}"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sides = {row["file"]: row["split1"] for row in rows}
    if annotations is not None:
        options = SourceOptions("jhmdb", str(annotations), _SPLIT_ID)
        listing = list_videos(videos, options)
        sides = {entry.video_id: entry.split for entry in listing.entries}
        missing = [row["file"] for row in rows if row["file"] not in sides]
        if missing:
            raise ValueError(
                "The official lists must name every clip of manifest.csv. "
                f"Received: {len(missing)} clips that are not in {annotations}, {missing[:3]}"
            )
    return [
        FilmClip(row["file"], row["label"], row["source_group"], sides[row["file"]]) for row in rows
    ]


def hold_out_films(clips: Sequence[FilmClip], share: float = HELD_OUT, seed: int = _SEED) -> set:
    """Chooses training films for validation; a pure function of the clips and the seed.

    Films are visited in the order of a hash; a film is held out unless one of its classes has
    more than the share already. A class without any held-out film, because its films are large,
    contributes its smallest. Every class keeps training clips.

    Args:
        clips: all clips; only those of `train` count.
        share: share of the training clips of each class.
        seed: determines the order.

    Returns:
        The names of the films.
    """
    of_film: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for clip in clips:
        if clip.split == "train":
            of_film[clip.film][clip.label] += 1
    totals: collections.Counter = sum(of_film.values(), collections.Counter())
    order = sorted(of_film, key=lambda film: hashlib.sha256(f"{seed}/{film}".encode()).digest())
    held: collections.Counter = collections.Counter()
    chosen: set[str] = set()

    def take(film: str) -> None:
        chosen.add(film)
        held.update(of_film[film])

    for film in order:
        wanted = {label: math.ceil(share * totals[label]) for label in of_film[film]}
        if all(
            held[label] + count <= min(wanted[label], totals[label] - 1)
            for label, count in of_film[film].items()
        ):
            take(film)
    for label in sorted(totals):
        if not held[label]:
            others = [
                film
                for film in order
                if label in of_film[film]
                and all(held[name] + n < totals[name] for name, n in of_film[film].items())
            ]
            if others:
                take(min(others, key=lambda film: sum(of_film[film].values())))
    return chosen


def convert_both(
    videos: Path, annotations: Path | None, out: Path, per_class: int | None = None
) -> None:
    """Converts to `out/shards/choosing` and `out/shards/final`, and describes them in `films.json`.

    Existing shards are kept; an interrupted conversion resumes.

    Args:
        videos: see `read_clips`.
        annotations: see `read_clips`.
        out: output folder.
        per_class: maximum number of training clips per class, and a third of it of test clips;
            None takes all.

    Raises:
        ValueError: if clips or films changed since an earlier call, or a video does not decode.
    """
    clips = read_clips(videos, annotations)
    if per_class is not None:
        clips = _some(clips, per_class)
    held = hold_out_films(clips)
    choosing = [
        dataclasses.replace(clip, split="val" if clip.film in held else "train")
        for clip in clips
        if clip.split == "train"
    ]
    check_films_apart(choosing)
    for name, listed in (("choosing", choosing), ("final", clips)):
        _convert(videos, listed, out / "shards", name)
    films = {split: {c.film for c in clips if c.split == split} for split in ("train", "test")}
    said = {
        "split": "official lists of split 1" if annotations else "column split1 of manifest.csv",
        "whole_split": per_class is None,
        "clips": collections.Counter(clip.split for clip in clips),
        "choosing_clips": collections.Counter(clip.split for clip in choosing),
        "held_out_films": len(held),
        "training_films": len(films["train"]),
        # The official split names them so; nothing is mended here.
        "films_in_training_and_test": len(films["train"] & films["test"]),
    }
    write_text(out / "films.json", json.dumps(said, indent=1) + "\n")


def check_films_apart(clips: Sequence[FilmClip]) -> None:
    """Raises ValueError if clips of one film are in more than one split."""
    splits = collections.defaultdict(set)
    for clip in clips:
        splits[clip.film].add(clip.split)
    shared = sorted(film for film, names in splits.items() if len(names) > 1)
    if shared:
        raise ValueError(
            "Clips of one film must lie in one split, or validation measures memory. "
            f"Received: {len(shared)} films in several, {shared[:3]}"
        )


def _some(clips: Sequence[FilmClip], per_class: int) -> list[FilmClip]:
    """Returns the first clips of each class and side."""
    most = {"train": per_class, "test": max(per_class // 3, 1)}
    taken: collections.Counter = collections.Counter()
    some = []
    for clip in sorted(clips, key=lambda clip: clip.file):
        taken[clip.label, clip.split] += 1
        if taken[clip.label, clip.split] <= most[clip.split]:
            some.append(clip)
    return some


def _convert(videos: Path, clips: Sequence[FilmClip], folder: Path, name: str) -> None:
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["path", "label", "split", "film"])
    folder.mkdir(parents=True, exist_ok=True)
    above = os.path.relpath(videos, folder)  # paths in a csv file start at its folder
    writer.writerows([f"{above}/{c.file}", c.label, c.split, c.film] for c in clips)
    listed = folder / f"{name}.csv"
    if listed.is_file() and listed.read_text(encoding="utf-8") != rows.getvalue():
        raise ValueError(
            "--out was begun with other videos, or with other films held out: use a new one. "
            f"Received: {folder.parent}"
        )
    write_text(listed, rows.getvalue())
    if not (folder / name / "manifest.json").is_file():
        convert(listed, folder / name, ConversionOptions(layout="csv", max_rejects=0))

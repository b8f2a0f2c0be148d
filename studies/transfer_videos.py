"""Converts the study's videos to shards, and selects nested parts of their labels."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from jhmdb_films import FilmClip, convert_both
from transfer_settings import Drawn

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.data import ConversionOptions, convert
from keras_t3d.motion_set import write_motion_set


def convert_drawn(drawn: Drawn, folder: Path) -> None:
    """Generates the motion set, where each video counts as a film, and converts it.

    Writes `shards/choosing` (train, val) and `shards/final` (train, test): see `convert_both`.

    Args:
        drawn: videos to generate.
        folder: output folder.
    """
    videos = folder / "drawn"
    if not videos.is_dir():
        counts = {"train": drawn.train, "test": drawn.test}
        write_motion_set(
            videos,
            counts,
            num_frames=drawn.num_frames,
            size=drawn.side,
            workers=os.cpu_count() or 1,
        )
    rows = [["file", "label", "source_group", "split1"]]
    for path in sorted(videos.rglob("*.mp4")):
        split, label, _ = path.relative_to(videos).parts
        name = path.relative_to(videos).as_posix()
        rows.append([name, label, name, split])
    write_text(videos / "manifest.csv", _csv_text(rows))
    convert_both(videos, None, folder)


def listed_clips(shards: Path) -> list[FilmClip]:
    """Returns the clips that were converted to `shards`; a clip's file is the id of its record."""
    with Path(f"{shards}.csv").open(newline="", encoding="utf-8") as file:
        return [
            FilmClip(row["path"], row["label"], row["film"], row["split"])
            for row in csv.DictReader(file)
        ]


def label_subset(clips: Sequence[FilmClip], percent: int, seed: int) -> list[FilmClip]:
    """Selects the training clips whose labels are used.

    Takes the first clips of each class in the order of a hash of seed and file name, at least one,
    so the clips of a smaller percent are a subset of those of a larger one.

    Args:
        clips: all clips; only those of `train` count.
        percent: share of each class.
        seed: determines the order.

    Returns:
        The selected clips in the order of `clips`.
    """
    of_class: dict[str, list[FilmClip]] = defaultdict(list)
    for clip in clips:
        if clip.split == "train":
            of_class[clip.label].append(clip)
    chosen = set()
    for own in of_class.values():
        own.sort(key=lambda clip: _rank(clip, seed))
        chosen.update(own[: max(math.floor(percent * len(own) / 100 + 0.5), 1)])
    return [clip for clip in clips if clip in chosen]


def _rank(clip: FilmClip, seed: int) -> bytes:
    # Not by the path, which tells where --out lies.
    return hashlib.sha256(f"{seed}/{clip.label}/{Path(clip.file).name}".encode()).digest()


def labelled_shards(final: Path, percent: int, seed: int) -> Path:
    """Returns shards of the training clips with a percent of the labels; creates them once.

    Their only split repeats each video so that an epoch has about as many steps as one over all
    videos, and every percent spends the same time on the ends of epochs.

    Args:
        final: shards of all training videos.
        percent: share of the labels.
        seed: determines the selection.
    """
    if percent == 100:
        return final
    folder = final.parent / f"labels{percent:03d}_seed{seed}"
    clips = listed_clips(final)
    chosen = label_subset(clips, percent, seed)
    rows = [["path", "label", "split"], *([c.file, c.label, c.split] for c in chosen)]
    text, listed = _csv_text(rows), Path(f"{folder}.csv")
    if folder.is_dir() and listed.read_text(encoding="utf-8") == text:
        return folder
    write_text(listed, text)
    with written_beside(folder) as part:
        convert(listed, part, ConversionOptions(layout="csv", max_rejects=0))
        passes = round(sum(clip.split == "train" for clip in clips) / len(chosen))
        _repeat_shards(part, passes)
    return folder


def _repeat_shards(folder: Path, passes: int) -> None:
    """Lists each shard as often as an epoch reads it, under different names."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    once = manifest["shards"]
    manifest["passes"] = passes
    for number in range(1, passes):
        for shard in once:
            name = shard["name"].replace("train-", f"train-pass{number:02d}-", 1)
            os.link(folder / shard["name"], folder / name)
            manifest["shards"] = [*manifest["shards"], {**shard, "name": name}]
    training = manifest["splits"]["train"]
    training["videos"] *= passes
    training["per_class"] = {name: passes * n for name, n in training["per_class"].items()}
    write_text(path, json.dumps(manifest, indent=1) + "\n")


def _csv_text(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()

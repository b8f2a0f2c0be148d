"""Writes labels, rejects and manifest once all shards are written."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_t3d.artifact_files import LABELS, labels_text
from keras_t3d.atomic import write_text
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.plan import ConversionPlan
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS
from keras_t3d.data.sources.listing import SPLITS, Reject

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """Result of a conversion.

    Attributes:
        folder: the folder of shards; a str for an address in a bucket.
        videos: number of videos in the shards, by split; the parts of a cut video are one.
        rejects: listed videos without a record.
        damaged: `video` and `reason` of videos that are stored as far as they decode.
        cut: number of parts of each video longer than a record.
        notes: `video` and `note` of videos of which a user should know something else.
        absent: number of videos that the dataset's lists name, and that are not there.
        bytes: size of all shards.
    """

    folder: pathlib.Path | str
    videos: dict[str, int]
    rejects: tuple[Reject, ...]
    damaged: tuple[dict[str, str], ...]
    cut: dict[str, int]
    notes: tuple[dict[str, str], ...]
    absent: int
    bytes: int


def finish_conversion(
    plan: ConversionPlan, summaries: Sequence[dict[str, Any]]
) -> ConversionReport:
    """Writes labels, rejects and, last, the manifest, which completes the set of shards.

    Args:
        plan: what was converted.
        summaries: `summarize_shard` of each shard, in the order of the plan.

    Returns:
        A ConversionReport.

    Raises:
        ConversionError: if no video was converted, or more than `max_rejects` were rejected.
    """
    decoding = [Reject(**reject) for shard in summaries for reject in shard["rejects"]]
    rejects = sorted([*plan.listing.rejects, *decoding], key=lambda r: (r.source, r.reason))
    if not any(shard["examples"] for shard in summaries):
        raise ConversionError(
            f"None of {len(rejects)} files could be converted; the first, {rejects[0].source}: "
            f"{rejects[0].reason}"
        )
    write_text(plan.out / REJECTS, _rejects_text(rejects))
    max_rejects = plan.options.max_rejects
    if max_rejects is not None and len(rejects) > max_rejects:
        raise ConversionError(
            f"{len(rejects)} files were rejected, more than `max_rejects` ({max_rejects}): see "
            f"{plan.out / REJECTS}. The shards are kept: re-run with a higher limit to finish "
            "immediately."
        )
    write_text(plan.out / LABELS, labels_text(plan.listing.class_names))
    manifest = _manifest(plan, summaries, rejects)
    write_text(plan.out / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return ConversionReport(
        folder=plan.out,
        videos={name: split["videos"] for name, split in manifest["splits"].items()},
        rejects=tuple(rejects),
        damaged=tuple(manifest["damaged"]),
        cut=manifest["cut"],
        notes=tuple(manifest["notes"]),
        absent=manifest["absent"],
        bytes=sum(shard["bytes"] for shard in summaries),
    )


def _manifest(
    plan: ConversionPlan, summaries: Sequence[dict[str, Any]], rejects: Sequence[Reject]
) -> dict[str, Any]:
    splits = {}
    for split in SPLITS:
        shards = [shard for shard in summaries if shard["split"] == split]
        per_class = {
            name: sum(shard["per_class"].get(name, 0) for shard in shards)
            for name in plan.listing.class_names
        }
        splits[split] = {
            "videos": sum(sum(shard["per_class"].values()) for shard in shards),
            "records": sum(shard["examples"] for shard in shards),
            "per_class": per_class,
        }
    listed = len(plan.listing.entries) + len(plan.listing.rejects)
    cut = {video: parts for shard in summaries for video, parts in shard["cut"].items()}
    converted = sum(split["videos"] for split in splits.values())
    if converted + len(rejects) != listed:
        raise ConversionError(
            f"{listed} videos were listed, but {converted} are in the shards and {len(rejects)} "
            f"were rejected. Remove {plan.out} and convert again."
        )
    fields = ("name", "split", "examples", "bytes", "sha256")
    return {
        "format": _FORMAT,
        "options": plan.manifest_options,
        "num_classes": len(plan.listing.class_names),
        "listed": listed,
        "converted": converted,
        "rejected": len(rejects),
        "absent": len(plan.listing.absent),
        "splits": splits,
        "damaged": [video for shard in summaries for video in shard["damaged"]],
        "notes": [video for shard in summaries for video in shard["notes"]],
        "cut": cut,
        "shards": [{field: shard[field] for field in fields} for shard in summaries],
    }


def _rejects_text(rejects: Sequence[Reject]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "stage", "reason"])
    writer.writerows((reject.source, reject.stage, reject.reason) for reject in rejects)
    return text.getvalue()

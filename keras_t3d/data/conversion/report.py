"""What is written beside the shards when all are there: labels, rejects, manifest."""

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
from keras_t3d.data.conversion.isolation import ConversionError
from keras_t3d.data.conversion.plan import ConversionPlan
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS
from keras_t3d.data.sources.listing import SPLITS, Reject

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What a conversion wrote.

    Attributes:
        folder: pathlib.Path, or the address of a bucket. The folder of shards.
        videos: dict of str to int. Videos in the shards, by split; one that was cut counts
            as many times as it has parts.
        rejects: Reject. Listed videos that gave no record.
        damaged: dicts of `video` and `reason`. Videos in the shards with the
            frames that decoded, fewer than their file promises or their span asks for.
        cut: dict of str to int. Videos longer than a record, and their parts.
        bytes: int. Size of all shards.
    """

    folder: pathlib.Path | str
    videos: dict[str, int]
    rejects: tuple[Reject, ...]
    damaged: tuple[dict[str, str], ...]
    cut: dict[str, int]
    bytes: int


def finish_conversion(
    plan: ConversionPlan, summaries: Sequence[dict[str, Any]], max_rejects: int | None
) -> ConversionReport:
    """Writes labels, rejects and, last, the manifest, which makes the folder a set of shards.

    Args:
        plan: ConversionPlan.
        summaries: what `summarize_shard` gave for each shard, in the plan's order.
        max_rejects: int or None.

    Returns:
        A ConversionReport.

    Raises:
        ValueError: if no video gave a record, or more were rejected than may be.
    """
    decoding = [Reject(**reject) for shard in summaries for reject in shard["rejects"]]
    rejects = sorted([*plan.listing.rejects, *decoding], key=lambda r: (r.source, r.reason))
    if not any(shard["examples"] for shard in summaries):
        raise ValueError(
            f"Not one of {len(rejects)} files could be converted; the first, {rejects[0].source}: "
            f"{rejects[0].reason}"
        )
    write_text(plan.out / REJECTS, _rejects_text(rejects))
    if max_rejects is not None and len(rejects) > max_rejects:
        raise ValueError(
            f"{len(rejects)} files were rejected, more than --max-rejects {max_rejects}: see "
            f"{plan.out / REJECTS}. The shards are kept: run again with a higher limit to finish "
            "at once."
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
            "videos": sum(shard["examples"] for shard in shards),
            "per_class": per_class,
        }
    listed = len(plan.listing.entries) + len(plan.listing.rejects)
    cut = {video: parts for shard in summaries for video, parts in shard["cut"].items()}
    records = sum(shard["examples"] for shard in summaries)
    converted = records - sum(cut.values()) + len(cut)
    if converted + len(rejects) != listed:
        raise ConversionError(
            f"Of {listed} listed videos {converted} are in the shards and {len(rejects)} were "
            "rejected: that does not add up. Remove OUT and convert again."
        )
    fields = ("name", "split", "examples", "bytes", "sha256")
    return {
        "format": _FORMAT,
        "options": plan.said,
        "num_classes": len(plan.listing.class_names),
        "listed": listed,
        "converted": converted,
        "rejected": len(rejects),
        "splits": splits,
        "damaged": [video for shard in summaries for video in shard["damaged"]],
        "cut": cut,
        "shards": [{field: shard[field] for field in fields} for shard in summaries],
    }


def _rejects_text(rejects: Sequence[Reject]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "stage", "reason"])
    writer.writerows((reject.source, reject.stage, reject.reason) for reject in rejects)
    return text.getvalue()

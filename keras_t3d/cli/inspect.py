"""`keras-t3d inspect`: summarize and verify shards."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.options import SHARDS
from keras_t3d.errors import KerasT3DError
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("shards", metavar="SHARDS", help=SHARDS)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read everything: compare checksums, print sizes and lengths of the videos",
    )
    parser.add_argument("--sheet", metavar="PNG", help="write a picture of some videos per class")
    parser.add_argument("--seed", type=int, default=0, help="seed of the videos on the sheet")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    from keras_t3d.data import ShardSet, contact_sheet, summarize
    from keras_t3d.data.inspection import warn_of_missing_classes

    shards = ShardSet.open(arguments.shards)
    splits = shards.manifest["splits"]
    width = max(len(name) for name in (*shards.class_names, "class"))
    print(f"{'class':{width}}" + "".join(f"{split:>8}" for split in splits))
    for name in shards.class_names:
        print(f"{name:{width}}" + "".join(f"{s['per_class'][name]:8}" for s in splits.values()))
    print(f"{'':{width}}" + "".join(f"{split['videos']:8}" for split in splits.values()))
    size = sum(shard["bytes"] for shard in shards.manifest["shards"]) / 2**20
    print(
        f"{len(shards.manifest['shards'])} shards, {size:.1f} MiB, frames of short side up to "
        f"{shards.short_side}; {shards.manifest['rejected']} rejected, "
        f"{len(shards.manifest['damaged'])} damaged"
    )
    warn_of_missing_classes(shards, shards.splits)
    if arguments.verify:
        damaged = shards.damaged_shards()
        if damaged:
            raise KerasT3DError(f"Damaged shards: {', '.join(damaged)}")
        print("Every shard has its checksum.")
        with progress_bar("reading", "records") as progress:
            lines = summarize(shards, progress).lines()
        print("\n".join(lines))
    if arguments.sheet:
        left_out = contact_sheet(shards, arguments.sheet, arguments.seed)
        print(f"Wrote {arguments.sheet}" + (f", without {left_out} classes" if left_out else ""))

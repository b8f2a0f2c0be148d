"""`keras-t3d inspect`: what shards hold."""

from __future__ import annotations

import argparse
from typing import Any

from keras_t3d.cli.command import CommandError, add_command
from keras_t3d.cli.progress import progress_bar


def add(commands: Any) -> None:
    inspect = add_command(commands, "inspect", run, "say what shards hold")
    inspect.add_argument("shards", metavar="SHARDS", help="folder that `convert` wrote")
    inspect.add_argument(
        "--verify",
        action="store_true",
        help="read all: compare the checksums, say the sizes and lengths of the videos",
    )
    inspect.add_argument("--sheet", metavar="PNG", help="write a picture of some videos of a class")
    inspect.add_argument("--seed", type=int, default=0, help="seed of the videos on the sheet")


def run(arguments: argparse.Namespace) -> None:
    from keras_t3d.data.contact_sheet import contact_sheet
    from keras_t3d.data.inspection import summarize
    from keras_t3d.data.shards.shard_set import ShardSet

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
    if arguments.verify:
        damaged = shards.damaged_shards()
        if damaged:
            raise CommandError(f"Damaged shards: {', '.join(damaged)}")
        print("Every shard has its checksum.")
        with progress_bar("reading", "videos") as progress:
            lines = summarize(shards, progress).lines()
        print("\n".join(lines))
    if arguments.sheet:
        left_out = contact_sheet(shards, arguments.sheet, arguments.seed)
        print(f"Wrote {arguments.sheet}" + (f", without {left_out} classes" if left_out else ""))

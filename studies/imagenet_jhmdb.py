"""Fine-tunes `t3d_lite0` from ImageNet on JHMDB's official splits, beside the probe.

```
python studies/imagenet_jhmdb.py --videos ../shared/data/jhmdb --out runs/imagenet --splits 1 2 3
```

A run trains the recipe `own_videos` on the training side of a split, without validation, and
scores `probe.keras` and the last epoch's network once on the test side: 3 views a video. Each
finished run is stored in studies/results/ at once; a killed script resumes with the same command.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # `turns`

from keras_machine import hardware, keras_machine
from result_files import newest_result, write_result

from keras_t3d.data import ConversionOptions, convert
from keras_t3d.evaluation import EvaluationOptions, evaluate
from keras_t3d.training import train
from keras_t3d.training.command_line import config_parser, parse_config

NAME = "imagenet-jhmdb"
RESULTS = Path(__file__).parent / "results"
VIEWS = 3


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is not finished; prints one line a run."""
    options = _options(argv)
    before = newest_result(options.results, NAME)
    runs = before["runs"] if before else []
    for seed in options.seeds:
        for split in options.splits:
            if any((run["split"], run["seed"]) == (split, seed) for run in runs):
                continue
            runs.append(_run(options, split, seed))
            print(json.dumps(runs[-1]), flush=True)
            write_result(options.results, NAME, _section(runs))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=Path, required=True, help="JHMDB with its manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--splits", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    return parser.parse_args(argv)


def _run(options: argparse.Namespace, split: int, seed: int) -> dict[str, Any]:
    shards = split_shards(options.videos, options.out, split)
    config, _ = parse_config(config_parser(), ["--config", "own_videos"])
    data = dataclasses.replace(config.data, shards=str(shards), validation_split=None)
    config = dataclasses.replace(config, data=data, seed=seed)
    folder = options.out / f"own_videos-split{split}-seed{seed}"
    train(config, folder)
    scores = {name: _accuracy(folder, name, shards) for name in ("probe.keras", "last.keras")}
    return {
        "split": split,
        "seed": seed,
        "stored_views": config.stored_views,
        "probe": scores["probe.keras"],
        "trained": scores["last.keras"],
        "date": datetime.date.today().isoformat(),
    }


def split_shards(videos: Path, out: Path, split: int) -> Path:
    """Converts the videos of an official split to `shardsSPLIT`, once; returns the folder."""
    shards = out / f"shards{split}"
    if not (shards / "manifest.json").is_file():
        listing = out / f"split{split}.csv"
        out.mkdir(parents=True, exist_ok=True)
        with (videos / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [
                row for row in csv.DictReader(file) if row[f"split{split}"] in ("train", "test")
            ]
        with listing.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for row in rows:
                path = (videos / row["file"]).resolve()
                writer.writerow([path, row["label"], row[f"split{split}"]])
        convert(listing, shards, ConversionOptions(layout="csv"))
    return shards


def _accuracy(folder: Path, name: str, shards: Path) -> float:
    """Scores the test side once; later calls read the report."""
    report = folder / f"test-{Path(name).stem}"
    if not (report / "metrics.json").is_file():
        evaluate(folder / name, shards, "test", report, EvaluationOptions(views=VIEWS))
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return round(100 * metrics["top1"], 1)


def _section(runs: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for split in sorted({run["split"] for run in runs}):
        of = [run for run in runs if run["split"] == split]
        views = sorted({str(run["stored_views"]) for run in of})
        scores = [[run[name] for run in of] for name in ("probe", "trained")]
        rows.append([str(split), ", ".join(views), *scores])
    return {
        "title": "From ImageNet on JHMDB, 21 classes",
        "command": "python studies/imagenet_jhmdb.py --videos ../shared/data/jhmdb "
        "--out runs/imagenet",
        "machine": hardware(keras_machine(), "16 x 224 x 224"),
        "blocks": [
            f"The recipe `own_videos` on official splits, top-1 of test videos, {VIEWS} views "
            "each. The probe is where training starts: a logistic regression of ImageNet features.",
            {"columns": ["split", "stored views", "probe", "trained"], "rows": rows, "decimals": 1},
        ],
        "runs": runs,
    }


if __name__ == "__main__":
    main()

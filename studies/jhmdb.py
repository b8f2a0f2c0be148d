"""Trains networks from scratch on JHMDB's official split 1.

```
python studies/jhmdb.py --videos ../shared/data/jhmdb --out runs/jhmdb --stage choose
python studies/jhmdb.py --videos ../shared/data/jhmdb --out runs/jhmdb --stage final results
python studies/jhmdb.py --out runs/jhmdb --stage results
python studies/jhmdb.py --out runs/quick --quick
```

- `choose` trains each row with each candidate setting of `jhmdb_settings.py` on a part of the
  training films, and scores the last epoch's network on the others. The scores are printed and
  stored in `OUT/SIZE/choose.json`.
- `final` chooses, for each family (T3D and DenseNet3D, ResNet3D and its STC form), the candidate
  with the highest mean over the family's rows that were tried, and stores it in
  `OUT/SIZE/chosen.json`, where it stays. It trains each row and seed on all training films and
  scores the last epoch's network on the test split once: a scored run is never scored again.
- `results` writes the finished runs to studies/results/ and their curves to docs/. Then add your
  conclusions to the JSON file and run `make results`.

Before training, the script times some steps and estimates the duration of each run. Any stage may
be killed; re-run the command to resume, even in the middle of an epoch. `--quick` uses a few
videos, generated ones without `--videos`, and one epoch. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gc
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # `turns`, `bare_step`

from jhmdb_films import convert_both
from jhmdb_settings import CANDIDATES, ROWS, SIZES, make_config
from keras_machine import keras_machine

STAGES = ("choose", "final", "results")
_RESULTS = Path(__file__).parent / "results"
_PICTURES = Path(__file__).parents[1] / "docs"
_VIEWS, _CROPS = 3, 3  # of each video, where it is scored
_CHOOSING_SEED = 0
_TIMED_STEPS = 4
_QUICK_PER_CLASS = 6  # training clips


def main(argv: list[str] | None = None) -> None:
    """Runs the stages; the last line is one JSON object."""
    options = _options(argv)
    result: dict[str, Any] = {"size": options.size, "out": str(options.out)}
    if {"choose", "final"} & set(options.stage):
        _convert(options)
    if "choose" in options.stage:
        result["choose"] = _choose(options)
    if "final" in options.stage:
        result["final"] = _final(options)
    if "results" in options.stage:
        from jhmdb_results import write_results

        count = write_results(options.out, options.results, options.pictures)
        result["runs_in_results"] = count
        print(f"{count} finished runs: wrote {options.results if count else 'nothing'}")
    print(json.dumps(result))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=Path, help="JHMDB with its manifest.csv")
    parser.add_argument(
        "--annotations", type=Path, help="official split lists; default: jhmdb_splits beside"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--candidates", nargs="+", choices=list(CANDIDATES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of final runs")
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument(
        "--results", type=Path, help="folder of the JSON file; default: studies/results"
    )
    parser.add_argument("--quick", action="store_true", help="a few videos, tiny networks, 1 epoch")
    options = parser.parse_args(argv)
    options.epochs, options.per_class = None, None
    if options.quick:
        options.size, options.epochs, options.per_class = "tiny", 1, _QUICK_PER_CLASS
    options.candidates = options.candidates or list(CANDIDATES)[: 2 if options.quick else None]
    options.pictures = options.results or _PICTURES
    if options.quick:  # its results mean nothing, so they stay apart
        options.results = options.pictures = options.results or options.out / "results"
    options.results = options.results or _RESULTS
    if options.videos is None and not options.quick and set(options.stage) != {"results"}:
        parser.error("--videos is needed, for example --videos ../shared/data/jhmdb")
    if options.annotations is None and options.videos is not None:
        beside = options.videos.parent / "jhmdb_splits"
        options.annotations = beside if beside.is_dir() else None
    return options


def _convert(options: argparse.Namespace) -> None:
    videos = options.videos or _generated(options.out / "videos")
    convert_both(videos, options.annotations, options.out, options.per_class)
    films = json.loads((options.out / "films.json").read_text(encoding="utf-8"))
    print(", ".join(f"{name} {value}" for name, value in films.items()))


def _generated(folder: Path) -> Path:
    """Writes the motion set in place of JHMDB; two videos of a split and class count as a film."""
    from keras_t3d.motion_set import write_motion_set

    if not folder.is_dir():
        counts = {"train": _QUICK_PER_CLASS, "test": _QUICK_PER_CLASS // 3}
        write_motion_set(folder, counts, num_frames=16, size=40)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "source_group", "split1"])
        for path in sorted(folder.rglob("*.mp4")):
            split, label, name = path.relative_to(folder).parts
            number = int(path.stem.rpartition("_")[2])
            writer.writerow(
                [f"{split}/{label}/{name}", label, f"{label}{split}{number // 2}", split]
            )
    return folder


@dataclasses.dataclass(frozen=True)
class _Run:
    """A training and its score.

    Attributes:
        row: name of the network in the table.
        title: seed or setting, for messages.
        config: configuration of the training.
        folder: holds `run/`, `machine.json`, and the report.
        split: the scored split, and name of the report's folder.
    """

    row: str
    title: str
    config: Any
    folder: Path
    split: str

    @property
    def score(self) -> Path:
        return self.folder / self.split / "metrics.json"


def _choose(options: argparse.Namespace) -> list[dict[str, Any]]:
    size, shards, runs = options.size, options.out / "shards" / "choosing", []
    for candidate in options.candidates:
        for row in options.rows:
            config = make_config(
                row, size, candidate, shards, "val", _CHOOSING_SEED, options.epochs
            )
            folder = options.out / size / "choose" / row / candidate
            runs.append(_Run(row, candidate, config, folder, "val"))
    _print_estimates(runs)
    for run in runs:
        _train_and_score(run)
        _keep_choices(options)
    choices = _choices(options)
    print(f"{'row':12} {'candidate':14} val top-1  mean class  family")
    for choice in choices:
        print(
            f"{choice['row']:12} {choice['candidate']:14} {100 * choice['val_top1']:7.1f} %"
            f" {100 * choice['val_mean_class_accuracy']:9.1f} %  {choice['family']}"
        )
    return choices


def _keep_choices(options: argparse.Namespace) -> None:
    from keras_t3d.atomic import write_text

    text = json.dumps(_choices(options), indent=1) + "\n"
    write_text(options.out / options.size / "choose.json", text)


def _choices(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns all scored runs, including those of earlier calls, best first."""
    found = []
    for path in (options.out / options.size / "choose").glob("*/*/val/metrics.json"):
        candidate, row = path.parents[1].name, path.parents[2].name
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            {
                "row": row,
                "family": ROWS[row].family,
                "candidate": candidate,
                "val_top1": metrics["top1"],
                "val_mean_class_accuracy": metrics["mean_class_accuracy"],
                "val_videos": metrics["videos"],
            }
        )
    return sorted(found, key=lambda c: (-c["val_top1"], c["row"], c["candidate"]))


def best_candidate(choices: Sequence[dict[str, Any]], family: str) -> dict[str, Any]:
    """Chooses the setting of a family: the highest mean over its rows.

    Args:
        choices: content of `choose.json`.
        family: name of the family.

    Returns:
        Dict of `candidate`, its `val_top1` (the mean), the `rows` it is the mean of, and how
        many `candidates` there were.

    Raises:
        ValueError: if no candidate was tried with all rows that were tried.
    """
    top1 = {(c["row"], c["candidate"]): c["val_top1"] for c in choices if c["family"] == family}
    rows = [row for row in ROWS if row in {row for row, _ in top1}]
    means = {
        candidate: statistics.mean(top1[row, candidate] for row in rows)
        for candidate in CANDIDATES
        if rows and all((row, candidate) in top1 for row in rows)
    }
    if not means:
        raise ValueError(
            "--stage final needs a candidate that was tried with all rows of the family, as by "
            f"--stage choose. Received: {sorted(top1)} of the family {family}"
        )
    best = max(means, key=lambda candidate: means[candidate])
    return {"candidate": best, "val_top1": means[best], "rows": rows, "candidates": len(means)}


def _chosen(options: argparse.Namespace, family: str) -> dict[str, Any]:
    """Returns a family's setting, which is fixed once the test split was scored with it."""
    from keras_t3d.atomic import write_text

    path = options.out / options.size / "chosen.json"
    chosen = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if family not in chosen:
        chosen[family] = best_candidate(_choices(options), family)
        write_text(path, json.dumps(chosen, indent=1) + "\n")
        print(f"{family}: {chosen[family]}")
    return chosen[family]


def _final(options: argparse.Namespace) -> list[dict[str, Any]]:
    size, shards, runs = options.size, options.out / "shards" / "final", []
    for seed in options.seeds:
        for row in options.rows:
            candidate = _chosen(options, ROWS[row].family)["candidate"]
            config = make_config(row, size, candidate, shards, None, seed, options.epochs)
            folder = options.out / size / "final" / row / f"seed{seed}"
            runs.append(_Run(row, f"{candidate}, seed {seed}", config, folder, "test"))
    _print_estimates(runs)
    scores = [_train_and_score(run) for run in runs]
    return [
        {"row": run.row, "seed": run.config.seed, "top1": metrics["top1"]}
        for run, metrics in zip(runs, scores, strict=True)
    ]


def _train_and_score(run: _Run) -> dict[str, Any]:
    """Trains or resumes, and scores; a scored run is only read."""
    import keras

    from keras_t3d.atomic import write_text
    from keras_t3d.evaluation import EvaluationOptions, evaluate
    from keras_t3d.training import run_directory, train

    config, trained = run.config, run.folder / "run"
    run_directory.check(trained, config)  # the score of other settings is not this one's
    if run.score.is_file():
        metrics = json.loads(run.score.read_text(encoding="utf-8"))
    else:
        print(f"{run.row}, {run.title}: {run.folder}", flush=True)
        write_text(run.folder / "machine.json", json.dumps(keras_machine(), indent=1) + "\n")
        train(config, trained)
        metrics = evaluate(
            str(trained / run_directory.LAST),
            config.data.shards,
            run.split,
            str(run.score.parent),
            EvaluationOptions(views=_VIEWS, crops=_CROPS, batch_size=config.data.batch_size),
        )
        keras.utils.clear_session()
        gc.collect()
    print(f"{run.row}, {run.title}: {run.split} top-1 {100 * metrics['top1']:.1f} %", flush=True)
    return metrics


# How long it will take.


def _print_estimates(runs: Sequence[_Run]) -> None:
    """Times some steps of each row with pending runs, without input, validation and files."""
    from bare_step import bare_step

    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training.clips import training_reader
    from keras_t3d.training.devices import find_devices

    todo = [run for run in runs if not run.score.is_file()]
    if not todo:
        return
    shards = ShardSet.open(todo[0].config.data.shards)
    step: dict[str, float] = {}
    whole = 0.0
    print(f"{'row':12} {'run':24} s/epoch  epochs  minutes, of the steps alone")
    for run in todo:
        if run.row not in step:
            seconds = bare_step(run.config, shards, find_devices())
            seconds(1)
            step[run.row] = seconds(_TIMED_STEPS) / _TIMED_STEPS
        epoch = step[run.row] * training_reader(run.config, shards).steps_per_epoch
        minutes = epoch * run.config.epochs / 60
        whole += minutes
        print(f"{run.row:12} {run.title:24} {epoch:7.1f}  {run.config.epochs:6}  {minutes:7.1f}")
    print(f"{len(todo)} runs to do, {whole / 60:.1f} hours", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()

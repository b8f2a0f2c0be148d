"""Measures how much 2D to 3D transfer helps, with few labels and with many.

```
python studies/transfer_study.py --videos ../shared/data/jhmdb --out runs/transfer
python studies/transfer_study.py --out runs/transfer --datasets motion --seeds 0
python studies/transfer_study.py --videos JHMDB --out runs/transfer --stage step
python studies/transfer_study.py --out runs/transfer --stage results
KERAS_BACKEND=jax python studies/transfer_study.py --videos JHMDB --out runs/full --size full
python studies/transfer_study.py --out runs/quick --quick
```

On JHMDB and on the generated motion set, for each seed:

- `teacher` trains a small 2D DenseNet on single stills: frames of JHMDB's training films without
  the held-out ones, by action; for the motion set, whose stills do not show the class, drawings
  of some fixed outlines and patterns.
- `pretrain` trains a DenseNet3D of the same blocks (a T3D-121 with `--size full`) without
  labels on the training films without the held-out ones, in each way that
  `transfer_settings.py` lists.
- `match` measures how well the student and a colour histogram recognize which clips and frames of
  held-out films belong together.
- `finetune` trains on 5, 10, 25 and 100 % of the labels from each start, with the same
  settings and number of steps, and scores the last epoch's network once on the test split.
- `step` times pre-training steps, with the teacher's features cached and with the teacher
  running, in turns with the plain training step. Run it on a quiet machine.
- `results` writes the finished runs to studies/results/ and a plot to docs/. Then add your
  conclusions to the JSON files and run `make results`.

Before training, the script times some steps and estimates the duration of the runs. Any stage may
be killed; re-run the command to resume. A scored run is never scored again. `--quick` uses
generated videos without `--videos`, tiny networks, and one epoch. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # `turns`, `bare_step`

from keras_machine import keras_machine
from transfer_settings import (
    DATASETS,
    PERCENTS,
    STARTS,
    Folders,
    Size,
    make_finetuning,
    make_pretraining,
)

STAGES = ("teacher", "pretrain", "match", "finetune", "step", "results")
_RESULTS = Path(__file__).parent / "results"
_PICTURES = Path(__file__).parents[1] / "docs"
_VIEWS = 3  # of each test video
_TIMED_STEPS = 4
_QUICK_PER_CLASS = 8  # training clips
_ROUNDS = {"tiny": 2, "small": 15, "full": 15}  # of the step stage
_STEP_EPOCHS = {"tiny": 2, "small": 4, "full": 4}


def main(argv: list[str] | None = None) -> None:
    """Runs the stages; the last line is one JSON object."""
    options = _options(argv)
    result: dict[str, Any] = {"size": options.size, "out": str(options.out)}
    if set(options.stage) != {"results"}:
        _convert(options)
    for stage, run in (
        ("teacher", _teachers),
        ("pretrain", _pretrainings),
        ("match", _matches),
        ("finetune", _finetunings),
        ("step", _steps),
    ):
        if stage in options.stage:
            result[stage] = run(options)
    if "results" in options.stage:
        from transfer_results import write_results

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
    parser.add_argument("--datasets", nargs="+", choices=list(DATASETS), default=list(DATASETS))
    parser.add_argument("--starts", nargs="+", choices=list(STARTS), default=list(STARTS))
    parser.add_argument(
        "--fractions", nargs="+", type=int, choices=PERCENTS, default=PERCENTS, help="percent"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument(
        "--results", type=Path, help="folder of the JSON file; default: studies/results"
    )
    parser.add_argument("--quick", action="store_true", help="a few videos, tiny networks, 1 epoch")
    options = parser.parse_args(argv)
    if options.quick:
        options.size = "tiny"
    options.pictures = options.results or _PICTURES
    if options.quick:  # its results mean nothing, so they stay apart
        options.results = options.pictures = options.results or options.out / "results"
    options.results = options.results or _RESULTS
    needs_videos = "jhmdb" in options.datasets and set(options.stage) != {"results"}
    if options.videos is None and needs_videos and not options.quick:
        parser.error("--videos is needed, for example --videos ../shared/data/jhmdb")
    if options.annotations is None and options.videos is not None:
        beside = options.videos.parent / "jhmdb_splits"
        options.annotations = beside if beside.is_dir() else None
    return options


def _convert(options: argparse.Namespace) -> None:
    from jhmdb_films import convert_both
    from transfer_videos import convert_drawn

    for folders in _of_datasets(options):
        drawn = _size(folders).drawn
        if folders.dataset == "jhmdb" and options.videos is not None:
            per_class = _QUICK_PER_CLASS if options.quick else None
            convert_both(options.videos, options.annotations, folders.videos, per_class)
        elif drawn is not None:
            convert_drawn(drawn, folders.videos)


def _of_datasets(options: argparse.Namespace) -> list[Folders]:
    """Returns the folders of each dataset, for files that do not depend on the seed."""
    return [Folders(options.out, dataset, options.size, 0) for dataset in options.datasets]


def _each(options: argparse.Namespace) -> list[Folders]:
    return [
        Folders(options.out, dataset, options.size, seed)
        for seed in options.seeds
        for dataset in options.datasets
    ]


def _size(folders: Folders) -> Size:
    return DATASETS[folders.dataset][folders.size]


# The stages.


def _teachers(options: argparse.Namespace) -> list[dict[str, Any]]:
    from transfer_teacher import save_inflated, train_teacher

    found = []
    for folders in _each(options):
        print(f"teacher of {folders.dataset}, seed {folders.seed}: {folders.teacher}", flush=True)
        facts = train_teacher(folders, _size(folders), real=folders.dataset == "jhmdb")
        save_inflated(folders, _size(folders))
        found.append({"dataset": folders.dataset, "seed": folders.seed, **facts})
        _clear()
    return found


@dataclasses.dataclass(frozen=True)
class _Run:
    """A pre-training or a fine-tuning.

    Attributes:
        title: name for messages.
        folders: folders of the dataset, size and seed.
        config: PretrainConfig or TrainConfig.
        folder: run directory.
        init: file of the initial network, or None.
    """

    title: str
    folders: Folders
    config: Any
    folder: Path
    init: Path | None = None

    @property
    def kind(self) -> tuple[str, str]:
        """Steps of runs of one kind take equally long."""
        return self.folders.dataset, self.config.command

    @property
    def score(self) -> Path:
        return self.folder.parent / "test" / "metrics.json"


def _pretrainings(options: argparse.Namespace) -> list[dict[str, Any]]:
    runs = [
        _pretraining(folders, start)
        for folders in _each(options)
        for start in options.starts
        if STARTS[start].objective is not None
    ]
    _print_estimates([run for run in runs if not _is_finished(run)])
    return [_pretrained(run) for run in runs]


def _pretraining(folders: Folders, start: str) -> _Run:
    _require(folders.teacher.with_suffix(".json"), "teacher")
    config = make_pretraining(
        _size(folders), STARTS[start], folders.choosing, folders.teacher, folders.seed
    )
    title = f"{folders.dataset}, seed {folders.seed}: {start}"
    return _Run(title, folders, config, folders.pretrained(start))


def _require(path: Path, stage: str) -> None:
    if not path.is_file():
        raise ValueError(f"Run --stage {stage} before, with the same --out. Received: no {path}")


def _is_finished(run: _Run) -> bool:
    """Returns True if all epochs are done: the checkpoint is the last file of an epoch."""
    from keras_t3d.training import run_directory
    from keras_t3d.training.checkpoints import newest_checkpoint

    checkpoint = newest_checkpoint(run_directory.check(run.folder, run.config))
    return checkpoint is not None and checkpoint.state.epoch >= run.config.epochs


def _pretrained(run: _Run) -> dict[str, Any]:
    from keras_t3d.training import pretrain
    from keras_t3d.training.run_directory import read_history

    if not _is_finished(run):
        print(f"{run.title}: {run.folder}", flush=True)
        pretrain(run.config, run.folder)
        _clear()
    return {"run": run.title, **read_history(run.folder)[-1]}


def _matches(options: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        {"dataset": folders.dataset, "seed": folders.seed, **_matched(folders, options.starts)}
        for folders in _each(options)
    ]


def _matched(folders: Folders, starts: Sequence[str]) -> dict[str, Any]:
    """Adds finished pre-trainings by matching that `match.json` lacks."""
    from transfer_match import describe_windows, held_out, histogram_accuracies, student_accuracies
    from transfer_videos import listed_clips

    from keras_t3d.atomic import write_text

    found: dict[str, Any] = {"accuracy": {}}
    if folders.match.is_file():
        found = json.loads(folders.match.read_text(encoding="utf-8"))
    runs = {s: _pretraining(folders, s) for s in starts if STARTS[s].objective == "matching"}
    todo = {s: run for s, run in runs.items() if s not in found["accuracy"] and _is_finished(run)}
    if not todo:
        return found
    config, seed = next(iter(todo.values())).config, folders.seed
    spec, listed = config.clip_spec, listed_clips(folders.choosing)
    held = held_out(folders.choosing, listed, spec, config.data.augmentation, seed)
    found |= {
        "other_view": describe_windows(held.windows),
        "clips": len(held.clips),
        "films": len({clip.film for clip in held.clips}),
        "pairs": {kind: len(pairs) for kind, pairs in held.pairs.items()},
    }
    accuracy = found["accuracy"]
    if "histogram" not in accuracy:
        accuracy["histogram"] = histogram_accuracies(held, folders.choosing, listed, spec, seed)
    for start, run in todo.items():
        accuracy[start] = student_accuracies(held, run.folder, run.config)
        print(f"{run.title}: matched {accuracy[start]}", flush=True)
        _clear()
    write_text(folders.match, json.dumps(found, indent=1) + "\n")
    return found


def _finetunings(options: argparse.Namespace) -> list[dict[str, Any]]:
    runs = [
        _finetuning(folders, start, percent)
        for folders in _each(options)
        for percent in options.fractions
        for start in options.starts
    ]
    _print_estimates([run for run in runs if not run.score.is_file()])
    return [{"run": run.title, "top1": _scored(run)["top1"]} for run in runs]


def _finetuning(folders: Folders, start: str, percent: int) -> _Run:
    from transfer_videos import labelled_shards

    shards = labelled_shards(folders.final, percent, folders.seed)
    config = make_finetuning(_size(folders), percent, shards, folders.seed)
    title = f"{folders.dataset}, seed {folders.seed}, {percent} % of the labels: {start}"
    folder = folders.finetuned(start, percent) / "run"
    return _Run(title, folders, config, folder, _init(folders, start))


def _init(folders: Folders, start: str) -> Path | None:
    """Returns the initial network of a start whose training is finished."""
    from keras_t3d.training.run_directory import STUDENT

    if STARTS[start].objective is not None:
        run = _pretraining(folders, start)
        if not _is_finished(run):
            raise ValueError(f"Run --stage pretrain to its end before. Received: {run.folder}")
        return run.folder / STUDENT
    if STARTS[start].inflated:
        _require(folders.inflated, "teacher")
        return folders.inflated
    return None


def _scored(run: _Run) -> dict[str, Any]:
    """Trains or resumes, and scores; a scored run is only read."""
    from keras_t3d.atomic import write_text
    from keras_t3d.evaluation import EvaluationOptions, evaluate
    from keras_t3d.training import run_directory, train

    run_directory.check(run.folder, run.config)  # the score of other settings is not this one's
    if run.score.is_file():
        metrics = json.loads(run.score.read_text(encoding="utf-8"))
    else:
        print(f"{run.title}: {run.folder}", flush=True)
        write_text(run.folder.parent / "machine.json", json.dumps(keras_machine(), indent=1) + "\n")
        train(run.config, run.folder, None if run.init is None else str(run.init))
        metrics = evaluate(
            str(run.folder / run_directory.LAST),
            run.folders.final,
            "test",
            str(run.score.parent),
            EvaluationOptions(views=_VIEWS, batch_size=run.config.data.batch_size),
        )
        _clear()
    print(f"{run.title}: top-1 {100 * metrics['top1']:.1f} %", flush=True)
    return metrics


def _steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    from transfer_step import measure

    from keras_t3d.atomic import write_text

    found = []
    for folders in _of_datasets(options):
        path = folders.of_size / "step.json"
        if path.is_file():
            measured = json.loads(path.read_text(encoding="utf-8"))
        else:
            machine = keras_machine()  # its load before
            measured = measure(folders, _ROUNDS[options.size], _STEP_EPOCHS[options.size])
            measured["machine"] = machine
            write_text(path, json.dumps(measured, indent=1) + "\n")
        for name, milliseconds in measured["milliseconds"].items():
            print(f"{folders.dataset}  {name:28} {milliseconds:9.1f} ms a step")
        for name, ratio in measured["ratios"].items():
            print(f"{folders.dataset}  {name:28} {ratio:9.3f} times plain training")
        found.append({"dataset": folders.dataset, **measured})
    return found


def _clear() -> None:
    import keras

    keras.utils.clear_session()
    gc.collect()


# How long it will take.


def _print_estimates(runs: Sequence[_Run]) -> None:
    """Times some steps of each kind of run, without input, validation and files."""
    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training.clips import training_reader

    if not runs:
        return
    step: dict[tuple[str, str], float] = {}
    whole = 0.0
    print("minutes, of the steps alone")
    for run in runs:
        if run.kind not in step:
            step[run.kind] = _seconds_of_step(run)
        steps = training_reader(run.config, ShardSet.open(run.config.data.shards)).steps_per_epoch
        steps *= run.config.epochs
        minutes = step[run.kind] * steps / 60
        whole += minutes
        print(f"{minutes:7.1f}  {steps:6} steps  {run.title}")
    print(f"{len(runs)} runs to do, {whole / 60:.1f} hours", flush=True)


def _seconds_of_step(run: _Run) -> float:
    from bare_step import bare_step
    from transfer_step import pretraining_step

    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training.devices import find_devices

    devices = find_devices()
    if run.config.command == "pretrain":
        seconds = pretraining_step(run.config, devices, cached=run.config.cache_features)
    else:
        seconds = bare_step(run.config, ShardSet.open(run.config.data.shards), devices)
    seconds(1)
    step = seconds(_TIMED_STEPS) / _TIMED_STEPS
    _clear()
    return step


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The step stage has three processes on one GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    main()

"""Collects the finished runs of `jhmdb.py` into a JSON file, and draws their learning curves."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jhmdb_settings import ROWS
from keras_machine import hardware
from result_files import flatten_config, mean_and_deviation, rounded, write_result

from keras_t3d.atomic import written_beside
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.run_directory import CONFIG, LAST, read_history

NAME = "jhmdb"  # of the section
PICTURE = "results_jhmdb.png"
# Top-1 of HOG and optical-flow histograms with a linear classifier on the whole of split 1.
_CLASSICAL = 38.4

# Keys of a configuration that other columns of the table show, or that say nothing.
_HIDDEN = ("data.shards", "data.validation_split", "seed", "model.name")
_ALWAYS_SHOWN = (
    *(f"clip.{name}" for name in ("num_frames", "frame_stride", "resize", "crop")),
    *(f"data.augmentation.{name}" for name in ("crop", "min_area", "flip")),
    *(f"optimizer.{name}" for name in ("name", "learning_rate", "schedule", "warmup_epochs")),
    *("data.batch_size", "epochs", "loss.label_smoothing", "model.dropout", "model.dtype"),
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that is trained and scored.

    Attributes:
        size: name of the size of networks and clips.
        row: name of the network in the table.
        seed: seed of weights and order.
        folder: holds `run/`, `machine.json` and `test/`.
        metrics: content of `test/metrics.json`.
        config: content of `run/config.yaml`, by dotted key.
    """

    size: str
    row: str
    seed: int
    folder: Path
    metrics: dict[str, Any]
    config: dict[str, Any]


def finished_runs(out: Path) -> list[Finished]:
    """Returns the final runs that were scored, by size, row and seed."""
    found = []
    for path in out.glob("*/final/*/seed*/test/metrics.json"):
        folder = path.parents[1]
        size, row = folder.parents[2].name, folder.parent.name
        config = flatten_config(
            yaml.safe_load((folder / "run" / CONFIG).read_text(encoding="utf-8"))
        )
        metrics = json.loads(path.read_text(encoding="utf-8"))
        seed = int(folder.name.removeprefix("seed"))
        found.append(Finished(size, row, seed, folder, metrics, config))
    return sorted(found, key=lambda run: (run.size, list(ROWS).index(run.row), run.seed))


def write_results(out: Path, folder: Path, pictures: Path) -> int:
    """Writes the finished runs as a JSON file and the learning curves as a picture.

    Args:
        out: folder of the runs, `--out` of `jhmdb.py`.
        folder: where the JSON file is written.
        pictures: where the curves are written.

    Returns:
        Number of runs; if it is 0, nothing is written.
    """
    runs = finished_runs(out)
    if not runs:
        return 0
    result = make_result(out, runs)
    pictures.mkdir(parents=True, exist_ok=True)
    with written_beside(pictures / PICTURE) as part:
        _draw(out, runs, part)
    write_result(folder, NAME, result)
    return len(runs)


def make_result(out: Path, runs: Sequence[Finished]) -> dict[str, Any]:
    """Returns what the JSON file holds."""
    films = json.loads((out / "films.json").read_text(encoding="utf-8"))
    first = runs[0].metrics
    videos, classes = first["videos"], len(first["per_class"])
    clips, choosing = films["clips"], films["choosing_clips"]
    blocks = [
        f"Split 1 ({films['split']}{'' if films['whole_split'] else ', a part of it'}): "
        f"{clips['train']} training and {videos} test videos. Settings were chosen on "
        f"{choosing['val']} training videos of {films['held_out_films']} held-out films (of "
        f"{films['training_films']}) after training on the other {choosing['train']}; no film "
        "appears in both parts. The final runs train on all training videos, for a number of "
        "epochs fixed before, and score the network after the last epoch once on the test "
        f"videos: {first['protocol']['scored']}. One test video is {100 / videos:.2f} points. "
        f"{films['films_in_training_and_test']} films contribute clips to both sides of the "
        "official split.",
        _accuracy_table(out, runs, classes, films["whole_split"]),
        {"picture": PICTURE, "caption": "Learning curves"},
        "Settings that differ from the defaults of `keras-t3d train`:",
        {"items": _settings(out, runs)},
    ]
    return {
        "title": f"From scratch on JHMDB, {classes} classes",
        "command": "python studies/jhmdb.py",
        "machine": "; ".join(dict.fromkeys(map(_hardware, runs))),
        "blocks": blocks,
    }


def _accuracy_table(
    out: Path, runs: Sequence[Finished], classes: int, whole_split: bool
) -> dict[str, Any]:
    rows: list[list[Any]] = []
    seeds = sorted({run.seed for run in runs})
    for group in _groups(runs):
        per_class = [100 * run.metrics["mean_class_accuracy"] for run in group]
        minutes = [sum(e["seconds"] for e in read_history(r.folder / "run")) / 60 for r in group]
        rows.append(
            [
                ROWS[group[0].row].title,
                group[0].size,
                _parameters(group[0]),
                f"`{_chosen(out, group[0])['candidate']}`",
                rounded([100 * run.metrics["top1"] for run in group]),
                mean_and_deviation(per_class),
                f"{statistics.mean(minutes):.1f}",
            ]
        )
    nothing = [None, None, None]
    if whole_split:
        title = "HOG and optical flow, linear classifier"
        rows.append([title, *nothing, f"{_CLASSICAL}", None, None])
    rows.append(["chance", *nothing, f"{100 / classes:.1f}", None, None])
    columns = [
        *("network", "size", "parameters", "setting"),
        f"top-1, seeds {', '.join(map(str, seeds))}, %",
        *("mean class accuracy, %", "minutes per run"),
    ]
    return {"columns": columns, "rows": rows}


def _groups(runs: Sequence[Finished]) -> list[list[Finished]]:
    """Groups runs that differ only in their seed."""
    groups: dict[tuple[str, str], list[Finished]] = {}
    for run in runs:
        groups.setdefault((run.size, run.row), []).append(run)
    return list(groups.values())


def _parameters(run: Finished) -> int:
    from keras_t3d.models.load import load_keras_model

    network = load_keras_model(run.folder / "run" / LAST)
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def _chosen(out: Path, run: Finished) -> dict[str, Any]:
    chosen = json.loads((out / run.size / "chosen.json").read_text(encoding="utf-8"))
    return chosen[ROWS[run.row].family]


def _settings(out: Path, runs: Sequence[Finished]) -> list[str]:
    """Returns an item for each family: settings of all its rows, then their networks."""
    defaults = flatten_config(yaml.safe_load(TrainConfig().to_yaml()))
    networks: dict[str, list[str]] = {}
    for group in _groups(runs):
        configs = [
            {name: value for name, value in run.config.items() if name not in _HIDDEN}
            for run in group
        ]
        if any(config != configs[0] for config in configs):
            raise ValueError(
                "All seeds of a row must have the same configuration. Received: "
                f"{[str(run.folder) for run in group]}, whose config.yaml differ"
            )
        options = configs[0].pop("model.options")
        shown = ", ".join(
            f"{name} {json.dumps(value)}"
            for name, value in configs[0].items()
            if name in _ALWAYS_SHOWN or value != defaults.get(name)
        )
        chosen = _chosen(out, group[0])
        setting = (
            f"{group[0].size}, `{chosen['candidate']}` (of {chosen['candidates']} settings the "
            "one with the highest mean validation top-1 of "
            f"{' and '.join(ROWS[row].title for row in chosen['rows'])}, "
            f"{100 * chosen['val_top1']:.1f} %): {shown}."
        )
        network = f"{ROWS[group[0].row].title} is `{group[0].config['model.name']}`"
        networks.setdefault(setting, []).append(
            f"{network} with {json.dumps(options)}" if options else network
        )
    return [f"{setting} {'; '.join(names)}." for setting, names in networks.items()]


def _hardware(run: Finished) -> str:
    machine = json.loads((run.folder / "machine.json").read_text(encoding="utf-8"))
    return hardware(machine, run.size)


def _draw(out: Path, runs: Sequence[Finished], path: Path) -> None:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    sizes = list(dict.fromkeys(run.size for run in runs))
    figure = Figure(figsize=(12, 3.8 * len(sizes)), layout="constrained")
    for size, (loss, training, held_out) in zip(
        sizes, figure.subplots(len(sizes), 3, squeeze=False), strict=True
    ):
        for number, group in enumerate(_groups([run for run in runs if run.size == size])):
            title, colour = ROWS[group[0].row].title, f"C{number}"
            for index, run in enumerate(group):
                history = read_history(run.folder / "run")
                label = title if index == 0 else None
                for axes, key in ((loss, "cross_entropy"), (training, "top1")):
                    _line(axes, history, key, colour, label)
            chosen = _chosen(out, group[0])["candidate"]
            choosing = read_history(out / size / "choose" / group[0].row / chosen / "run")
            _line(held_out, choosing, "val_top1", colour, title)
        loss.set_title(f"{size}: training cross-entropy, each seed")
        training.set_title("training top-1, each seed")
        held_out.set_title("choosing: top-1 on held-out films")
        for axes in (loss, training, held_out):
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
        loss.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})  # the same runs, the same bytes


def _line(
    axes: Any, history: Sequence[dict[str, float]], key: str, colour: str, label: str | None
) -> None:
    rows = [row for row in history if key in row]
    axes.plot(
        [row["epoch"] for row in rows],
        [row[key] for row in rows],
        color=colour,
        linewidth=1,
        label=label,
    )

"""What `jhmdb.py` has finished, as a section of the results page and its learning curves.

Every figure is computed from files of the runs; where nothing is finished nothing is written.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jhmdb_settings import ROWS
from keras_machine import hardware
from page_section import placed
from run_settings import flat_config, plain_value

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.run_directory import CONFIG, LAST, read_history

BEGIN, END = "<!-- jhmdb:begin -->", "<!-- jhmdb:end -->"
PICTURE = "results_jhmdb.png"
# HOG and optical-flow histograms with a linear classifier, measured on the whole of split 1
# for this project: ../shared/data/README.md.
_CLASSICAL = 38.4

# Keys of a configuration that the table's other columns tell, or that tell nothing.
_TOLD_ELSEWHERE = ("data.shards", "data.validation_split", "seed", "model.name")
_ALWAYS_TOLD = (
    *(f"clip.{name}" for name in ("num_frames", "frame_stride", "resize", "crop")),
    *(f"data.augmentation.{name}" for name in ("crop", "min_area", "flip")),
    *(f"optimizer.{name}" for name in ("name", "learning_rate", "schedule", "warmup_epochs")),
    *("data.batch_size", "epochs", "loss.label_smoothing", "model.dropout", "model.dtype"),
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that is trained and scored.

    Attributes:
        size: str.
        row: str.
        seed: int.
        folder: Path. With `run/`, `machine.json` and `test/`.
        metrics: dict, of `test/metrics.json`.
        config: dict by dotted key, of `run/config.yaml`.
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
        config = flat_config(yaml.safe_load((folder / "run" / CONFIG).read_text(encoding="utf-8")))
        metrics = json.loads(path.read_text(encoding="utf-8"))
        seed = int(folder.name.removeprefix("seed"))
        found.append(Finished(size, row, seed, folder, metrics, config))
    return sorted(found, key=lambda run: (run.size, list(ROWS).index(run.row), run.seed))


def write_table(out: Path, page: Path) -> int:
    """Writes the section between its markers, or at the end of a page without them.

    Args:
        out: Path. What `jhmdb.py` was given.
        page: Path of a Markdown file. The curves are drawn beside it.

    Returns:
        int: runs in the table; with 0 nothing is written.

    Raises:
        ValueError: if the page has one of the markers only.
    """
    runs = finished_runs(out)
    if not runs:
        return 0
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    text = placed(before, section(out, runs), BEGIN, END)
    with written_beside(page.parent / PICTURE) as part:
        _draw(out, runs, part)
    write_text(page, text)
    return len(runs)


def section(out: Path, runs: Sequence[Finished]) -> str:
    """Returns the section's Markdown."""
    films = json.loads((out / "films.json").read_text(encoding="utf-8"))
    first = runs[0].metrics
    videos, classes = first["videos"], len(first["per_class"])
    clips, choosing = films["clips"], films["choosing_clips"]
    parts = [
        f"## From scratch on JHMDB, {classes} classes",
        textwrap.fill(
            f"Split 1 ({films['split']}{'' if films['whole_split'] else ', a part of it'}): "
            f"{clips['train']} training and {videos} test videos. Settings were chosen on "
            f"{choosing['val']} training videos of {films['held_out_films']} films (of "
            f"{films['training_films']}) that were held out, with the other {choosing['train']} to "
            "train on; no film on both sides. The final runs train on all training videos, for a "
            "number of epochs set before, and the network after the last epoch is scored once, on "
            f"the test videos: {first['protocol']['scored']}. One test video is "
            f"{100 / videos:.2f} points. {films['films_in_training_and_test']} films give clips to "
            "both sides of the official split, as its authors made it.",
            98,
            break_on_hyphens=False,
        ),
        _accuracy_table(out, runs, classes, films["whole_split"]),
        f"![Learning curves]({PICTURE})",
        "Settings, as `keras-t3d train` names them; what is left out is its default:",
        _settings_list(out, runs),
        "Hardware: " + "; ".join(dict.fromkeys(map(_hardware, runs))) + ".",
    ]
    return "\n\n".join(parts)


def _accuracy_table(out: Path, runs: Sequence[Finished], classes: int, whole_split: bool) -> str:
    lines = [
        "| network | size | parameters | setting | top-1 by seed, % | mean ± SD | "
        "mean class accuracy, % | minutes a run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for group in _groups(runs):
        top1 = [100 * run.metrics["top1"] for run in group]
        per_class = [100 * run.metrics["mean_class_accuracy"] for run in group]
        minutes = [sum(e["seconds"] for e in read_history(r.folder / "run")) / 60 for r in group]
        cells = [
            ROWS[group[0].row].title,
            group[0].size,
            f"{_parameters(group[0]):,}",
            f"`{_chosen(out, group[0])['candidate']}`",
            ", ".join(f"{run.seed}: {value:.1f}" for run, value in zip(group, top1, strict=True)),
            _mean(top1),
            _mean(per_class),
            f"{statistics.mean(minutes):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if whole_split:
        lines.append(f"| HOG and optical flow, linear classifier | | | | | {_CLASSICAL} | | |")
    lines.append(f"| chance | | | | | {100 / classes:.1f} | | |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def _groups(runs: Sequence[Finished]) -> list[list[Finished]]:
    """Runs that differ in their seed alone."""
    groups: dict[tuple[str, str], list[Finished]] = {}
    for run in runs:
        groups.setdefault((run.size, run.row), []).append(run)
    return list(groups.values())


def _parameters(run: Finished) -> int:
    from keras_t3d.inference.load import load_keras_model

    network = load_keras_model(run.folder / "run" / LAST)
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def _chosen(out: Path, run: Finished) -> dict[str, Any]:
    chosen = json.loads((out / run.size / "chosen.json").read_text(encoding="utf-8"))
    return chosen[ROWS[run.row].family]


def _settings_list(out: Path, runs: Sequence[Finished]) -> str:
    """An item for each family: what its rows have in common, then their networks."""
    defaults = flat_config(dataclasses.asdict(TrainConfig()))
    networks: dict[str, list[str]] = {}
    for group in _groups(runs):
        configs = [
            {name: value for name, value in run.config.items() if name not in _TOLD_ELSEWHERE}
            for run in group
        ]
        if any(config != configs[0] for config in configs):
            raise ValueError(
                "The seeds of a row must have trained with one setting. Received: "
                f"{[str(run.folder) for run in group]}, whose config.yaml differ"
            )
        options = configs[0].pop("model.options")
        told = ", ".join(
            f"{name} {json.dumps(value)}"
            for name, value in configs[0].items()
            if name in _ALWAYS_TOLD or value != plain_value(defaults.get(name))
        )
        chosen = _chosen(out, group[0])
        setting = (
            f"{group[0].size}, `{chosen['candidate']}` (of {chosen['candidates']} settings the "
            "one with the highest mean validation top-1 of "
            f"{' and '.join(ROWS[row].title for row in chosen['rows'])}, "
            f"{100 * chosen['val_top1']:.1f} %): {told}."
        )
        network = f"{ROWS[group[0].row].title} is `{group[0].config['model.name']}`"
        networks.setdefault(setting, []).append(
            f"{network} with {json.dumps(options)}" if options else network
        )
    return "\n".join(
        textwrap.fill(
            f"{setting} {'; '.join(names)}.",
            98,
            initial_indent="- ",
            subsequent_indent="  ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        for setting, names in networks.items()
    )


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

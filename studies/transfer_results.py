"""Collects the finished runs of `transfer_study.py` into JSON files, and draws plots of them.

Each dataset and size has a file of its own, so that one machine writes one of them and leaves
those of others alone.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from keras_machine import hardware
from result_files import flatten_config, mean_and_deviation, rounded, write_result
from transfer_differences import difference_blocks
from transfer_settings import DATASETS, STARTS, Folders
from transfer_videos import label_subset, listed_clips

from keras_t3d.atomic import written_beside
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.training.run_directory import CONFIG, read_history

_TITLES = {"jhmdb": "JHMDB", "motion": "The motion set"}
_MATCHERS = {
    "histogram": "colour histogram",
    **{name: f"student, {start.title}" for name, start in STARTS.items()},
}
_CONDITIONS = (
    ("same", "random", "same view, any other film"),
    ("same", "same_class", "same view, same class"),
    ("other", "random", "other view, any other film"),
    ("other", "same_class", "other view, same class"),
)

# Keys of a configuration that are paths, or that differ between rows.
_HIDDEN = (
    *("data.shards", "data.validation_split", "seed", "teacher.network", "teacher.preprocessing"),
    *("objective.kind", "inflate", "cache_features"),
    *("epochs", "optimizer.warmup_epochs", "checkpoints.keep"),
)
_ALWAYS_SHOWN = (
    *(f"clip.{name}" for name in ("num_frames", "frame_stride", "resize", "crop")),
    *(f"data.augmentation.{name}" for name in ("crop", "min_area", "flip")),
    *(f"optimizer.{name}" for name in ("name", "learning_rate", "schedule")),
    *("model.dtype", "data.batch_size"),
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A fine-tuning that is scored.

    Attributes:
        folders: folders of its dataset, size and seed.
        start: name of the initial weights.
        percent: share of the labels.
        metrics: content of `test/metrics.json`.
    """

    folders: Folders
    start: str
    percent: int
    metrics: dict[str, Any]

    @property
    def top1(self) -> float:
        """Top-1 in percent."""
        return 100 * self.metrics["top1"]

    @property
    def folder(self) -> Path:
        return self.folders.finetuned(self.start, self.percent)


def finished_runs(out: Path) -> list[Finished]:
    """Returns the fine-tunings that were scored, by dataset, size, start, percent and seed."""
    found = []
    for path in out.glob("*/*/seed*/finetune/*/*/test/metrics.json"):
        dataset, size, seed, _, start, percent = path.relative_to(out).parts[:6]
        folders = Folders(out, dataset, size, int(seed.removeprefix("seed")))
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found.append(Finished(folders, start, int(percent), metrics))
    datasets, starts = list(DATASETS), list(STARTS)

    def place(run: Finished) -> tuple[int, str, int, int, int]:
        ours = run.folders
        dataset, start = datasets.index(ours.dataset), starts.index(run.start)
        return dataset, ours.size, start, run.percent, ours.seed

    return sorted(found, key=place)


def write_results(out: Path, folder: Path, pictures: Path) -> int:
    """Writes a JSON file and a plot for each dataset and size.

    Args:
        out: folder of the runs, `--out` of `transfer_study.py`.
        folder: where the JSON files are written.
        pictures: where the plots are written.

    Returns:
        Number of runs; if it is 0, nothing is written.
    """
    runs = finished_runs(out)
    groups = _by(runs, lambda run: (run.folders.dataset, run.folders.size))
    results = [make_result(group) for group in groups]
    for group, result in zip(groups, results, strict=True):
        pictures.mkdir(parents=True, exist_ok=True)
        with written_beside(pictures / picture(group[0].folders)) as part:
            draw(group, part)
        write_result(folder, section_name(group[0].folders), result)
    return len(runs)


def section_name(folders: Folders) -> str:
    """Returns the name of the section of a dataset and size."""
    return f"transfer-{folders.dataset}" + ("" if folders.size == "small" else f"-{folders.size}")


def picture(folders: Folders) -> str:
    """Returns the file name of the plot of a dataset and size."""
    return f"results_transfer_{folders.dataset}_{folders.size}.png"


def make_result(runs: Sequence[Finished]) -> dict[str, Any]:
    """Returns what the JSON file of one dataset and size holds.

    Args:
        runs: runs of one dataset and size.
    """
    ours = runs[0].folders
    blocks = [
        _data_text(runs),
        _accuracy_table(runs),
        *difference_blocks(top1_by_seed(runs)),
        {"picture": picture(ours), "caption": "Top-1 by the share of labels"},
        *_match_blocks(runs),
        *_step_blocks(ours),
        "Settings that differ from the defaults:",
        {"items": settings_of(runs)},
    ]
    machines = (
        hardware(json.loads((run.folder / "machine.json").read_text(encoding="utf-8")), ours.size)
        for run in runs
    )
    return {
        "title": f"{_TITLES[ours.dataset]}, {ours.size}",
        "level": 3,
        "command": f"python studies/transfer_study.py --datasets {ours.dataset}",
        "machine": "; ".join(dict.fromkeys(machines)),
        "blocks": blocks,
    }


def _data_text(runs: Sequence[Finished]) -> str:
    ours, metrics = runs[0].folders, runs[0].metrics
    films = json.loads((ours.videos / "films.json").read_text(encoding="utf-8"))
    clips, choosing = films["clips"], films["choosing_clips"]
    teachers = [
        json.loads(path.read_text(encoding="utf-8"))
        for folders in _seeds(runs)
        if (path := folders.teacher.with_suffix(".json")).is_file()
    ]
    drawn = not all("test" in teacher for teacher in teachers)
    seen = "Pre-training sees" if drawn else "Pre-training and teacher see"
    text = (
        f"{len(metrics['per_class'])} classes, {clips['train']} training and {metrics['videos']} "
        f"test videos ({metrics['protocol']['scored']}); one test video is "
        f"{100 / metrics['videos']:.2f} points. {seen} "
        f"{choosing['train']} of the training videos; the other {choosing['val']}, of "
        f"{films['held_out_films']} held-out films, are for the matching. "
    )
    if films.get("films_in_training_and_test"):
        text += (
            f"{films['films_in_training_and_test']} films contribute clips to both sides of the "
            "official split: teacher, pre-training and fine-tuning all see their training clips. "
        )
    if teachers:
        held_out = mean_and_deviation([100 * teacher["held_out"] for teacher in teachers])
        text += f"The teacher's stills: {teachers[0]['stills']}; top-1 {held_out} % on held-out"
        if not drawn:
            test = mean_and_deviation([100 * teacher["test"] for teacher in teachers])
            text += (
                f" videos' middle frames, {test} % on the test videos'. So the teacher knows the "
                "labels of all the videos that it saw: with few labels for fine-tuning, starts "
                "from it rest on more labels than random weights do."
            )
        else:
            text += " stills. It never saw a label of the videos."
    return text


def _labels(runs: Sequence[Finished], percent: int) -> int:
    """Returns the number of labelled videos, rounded to at least one per class."""
    ours = runs[0].folders
    return len(label_subset(listed_clips(ours.final), percent, ours.seed))


def _accuracy_table(runs: Sequence[Finished]) -> dict[str, Any]:
    percents = sorted({run.percent for run in runs})
    rows = []
    for of_start in _by(runs, lambda run: run.start):
        cells: list[Any] = [STARTS[of_start[0].start].title]
        for percent in percents:
            cells.append(rounded([run.top1 for run in of_start if run.percent == percent]) or None)
        rows.append(cells)
    chance = 100 / len(runs[0].metrics["per_class"])
    rows.append(["chance", *[f"{chance:.1f}"] * len(percents)])
    shares = [f"{percent} % of the labels ({_labels(runs, percent)})" for percent in percents]
    return {"columns": ["start", *shares], "rows": rows}


def top1_by_seed(runs: Sequence[Finished]) -> dict[tuple[str, int], dict[int, float]]:
    """Returns top-1 by start and percent, then by seed."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for run in runs:
        found.setdefault((run.start, run.percent), {})[run.folders.seed] = run.top1
    return found


# The matching.


def _match_blocks(runs: Sequence[Finished]) -> list[Any]:
    found = [
        json.loads(folders.match.read_text(encoding="utf-8"))
        for folders in _seeds(runs)
        if folders.match.is_file()
    ]
    if not found:
        return []
    rows = []
    for name, title in _MATCHERS.items():
        own = [match["accuracy"][name] for match in found if name in match["accuracy"]]
        cells: list[Any] = [title]
        for view, negatives, _ in _CONDITIONS:
            cells.append(rounded([100 * a[view][negatives] for a in own if negatives in a[view]]))
        if own:
            rows.append([cell or None for cell in cells])
    pairs = found[0]["pairs"]
    return [
        {"columns": ["matcher", *(title for _, _, title in _CONDITIONS)], "rows": rows},
        "Do frames and clip belong together? Percent recognized, 50 is chance. "
        f"{found[0]['clips']} clips of {found[0]['films']} held-out films, each with its own "
        "frames and with those of a clip of another film, drawn once per seed: any "
        f"({pairs['random']} pairs), or of the same class ({pairs['same_class']} pairs); all "
        "matchers get the same pairs. Same view: clip and frames are the same centre view; the "
        "histogram's distance of a clip to its own frames is exactly zero then, so its value "
        "there does not measure how hard the matching is. Other view: the clip is "
        f"{found[0]['other_view']}, the frames the centre view, which is what students met in "
        "training (except the one whose teacher was running). The histogram counts 8x8x8 colours "
        "of all pixels; pairs match up to a chi-square distance fitted on pairs of training clips "
        "with any other film, for each kind of view; the student's threshold is zero, as in its "
        "training.",
    ]


def _step_blocks(folders: Folders) -> list[Any]:
    path = folders.of_size / "step.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for name, milliseconds in found["milliseconds"].items():
        low, _, high = found["quartiles"][name]
        ratio = found["ratios"].get(name)
        rows.append(
            [
                name,
                f"{milliseconds:.0f} ({low:.0f} to {high:.0f})",
                None if ratio is None else f"{ratio:.2f}",
                f"{found['epoch_seconds'][name]:.1f}",
            ]
        )
    head = ["step", "ms, median (quartiles)", "relative to plain training", "seconds per epoch"]
    return [
        {"columns": head, "rows": rows},
        f"Matching; compiled steps on a batch of {found['batch_size']} clips in memory, in turns, "
        f"{found['rounds']} rounds (goal: at most {found['allowed']} with cached features); whole "
        "epochs of `train` and `pretrain` as a user starts them, files included but no "
        "validation, one after the other. Caching the features of the training videos took "
        f"{found['feature_seconds']:.1f} s, once. Load of the machine before: "
        f"{found['machine']['load_at_start']}. {hardware(found['machine'], folders.size)}.",
    ]


# The settings.


def settings_of(runs: Sequence[Finished]) -> list[str]:
    """Returns the settings of teacher, pre-training and fine-tuning."""
    ours = runs[0].folders
    teacher = DATASETS[ours.dataset][ours.size].teacher
    stills = _shown(dataclasses.asdict(teacher), {"per_look": 0})
    items = [f"teacher: {stills}, AdamW, cosine to zero"]
    pretrained = {
        (folders.seed, start): folders.pretrained(start)
        for folders in _seeds(runs)
        for start in STARTS
        if (folders.pretrained(start) / CONFIG).is_file()
    }
    if pretrained:
        common, epochs = _common(pretrained.values(), PretrainConfig())
        each = [
            f"{STARTS[start].title} {statistics.mean(_minutes(own)):.1f}"
            for start in STARTS
            if (own := [folder for (_, name), folder in pretrained.items() if name == start])
        ]
        items.append(f"pre-training: {epochs}, {common}; minutes per run: {', '.join(each)}")
    common, epochs = _common((run.folder / "run" for run in runs), TrainConfig())
    each = [
        f"{of_percent[0].percent} % {_steps(of_percent[0].folder / 'run')} steps, "
        f"{statistics.mean(_minutes(run.folder / 'run' for run in of_percent)):.1f} minutes"
        for of_percent in _by(runs, lambda run: run.percent)
    ]
    items.append(f"fine-tuning: {common}; a run with {', '.join(each)}")
    return [f"{item}." for item in items]


def _common(run_dirs: Iterable[Path], default: Any) -> tuple[str, str]:
    """Returns the settings that all runs share, and their epochs.

    Raises:
        ValueError: if their settings differ.
    """
    flat: dict[str, Any] = {}
    folders = list(run_dirs)
    epochs = set()
    for folder in folders:
        config = flatten_config(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))
        epochs.add(config["epochs"])
        config = {name: value for name, value in config.items() if name not in _HIDDEN}
        if flat and config != flat:
            raise ValueError(
                "All runs of a table must have the same configuration. Received: "
                f"{folders[0]} and {folder}, whose config.yaml differ"
            )
        flat = config
    defaults = flatten_config(yaml.safe_load(default.to_yaml()))
    return _shown(flat, defaults), f"{', '.join(map(str, sorted(epochs)))} epochs"


def _shown(values: dict[str, Any], defaults: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {json.dumps(value)}"
        for name, value in values.items()
        if value is not None
        and (name in _ALWAYS_SHOWN or name not in defaults or value != defaults[name])
    )


def _minutes(run_dirs: Iterable[Path]) -> list[float]:
    return [sum(row["seconds"] for row in read_history(folder)) / 60 for folder in run_dirs]


def _steps(run_dir: Path) -> int:
    """Returns the number of steps of a run, from its newest checkpoint."""
    paths = (run_dir / "checkpoints").glob("step-*.npz")
    return max(int(path.stem.removeprefix("step-")) for path in paths)


def _by(runs: Sequence[Finished], key: Any) -> list[list[Finished]]:
    ordered: dict[Any, list[Finished]] = {}
    for run in runs:
        ordered.setdefault(key(run), []).append(run)
    return list(ordered.values())


def _seeds(runs: Sequence[Finished]) -> list[Folders]:
    """Returns the folders of each seed once."""
    return sorted({run.folders for run in runs}, key=lambda folders: folders.seed)


def draw(runs: Sequence[Finished], path: Path) -> None:
    """Draws top-1 by the share of labels.

    Args:
        runs: runs of one dataset and size.
        path: file of the picture.
    """
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for of_start in _by(runs, lambda run: run.start):
        number = list(STARTS).index(of_start[0].start)
        cells = _by(of_start, lambda run: run.percent)
        values = [[run.top1 for run in cell] for cell in cells]
        axes.errorbar(
            # Beside each other, or their bars would hide one another.
            [cell[0].percent * 1.03 ** (number - (len(STARTS) - 1) / 2) for cell in cells],
            [statistics.mean(each) for each in values],
            [statistics.stdev(each) if len(each) > 1 else 0.0 for each in values],
            color=f"C{number}",
            marker="o",
            markersize=4,
            linewidth=1,
            capsize=3,
            label=STARTS[of_start[0].start].title,
        )
    percents = sorted({run.percent for run in runs})
    axes.axhline(100 / len(runs[0].metrics["per_class"]), color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(percents, [f"{percent} %" for percent in percents])
    axes.minorticks_off()
    axes.set_xlabel("training labels")
    ours = runs[0].folders
    axes.set_title(f"{_TITLES[ours.dataset]}, {ours.size}: test top-1, %, mean ± SD")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Software": None})  # the same runs, the same bytes

"""What `transfer_study.py` has finished, as sections of the results page and their plots.

A dataset and size has a section of its own, so that one machine writes one of them and leaves
those of others alone. Every figure is computed from files of the runs; where nothing is finished
nothing is written.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from keras_machine import hardware
from page_section import placed
from run_settings import flat_config, plain_value
from transfer_settings import DATASETS, STARTS, Folders
from transfer_videos import label_subset, listed_clips

from keras_t3d.atomic import write_text, written_beside
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
_CONFIDENCE = 0.95  # of the interval outside of which a difference is named

# Keys of a configuration that tell where something lies, or that differ between rows.
_TOLD_ELSEWHERE = (
    *("data.shards", "data.validation_split", "seed", "teacher.network", "teacher.preprocessing"),
    *("objective.kind", "inflate", "cache_features"),
    *("epochs", "optimizer.warmup_epochs", "checkpoints.keep"),
)
_ALWAYS_TOLD = (
    *(f"clip.{name}" for name in ("num_frames", "frame_stride", "resize", "crop")),
    *(f"data.augmentation.{name}" for name in ("crop", "min_area", "flip")),
    *(f"optimizer.{name}" for name in ("name", "learning_rate", "schedule")),
    *("model.dtype", "data.batch_size"),
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A fine-tuning that is scored.

    Attributes:
        folders: Folders, of its dataset, size and seed.
        start: str.
        percent: int. Of the labels.
        metrics: dict, of `test/metrics.json`.
    """

    folders: Folders
    start: str
    percent: int
    metrics: dict[str, Any]

    @property
    def top1(self) -> float:
        """In percent."""
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


def write_table(out: Path, page: Path) -> int:
    """Writes each section between its markers, or at the end of a page without them.

    Args:
        out: Path. What `transfer_study.py` was given.
        page: Path of a Markdown file. Plots are drawn beside it.

    Returns:
        int: runs in the tables; with 0 nothing is written.

    Raises:
        ValueError: if the page has one of a section's markers only.
    """
    runs = finished_runs(out)
    if not runs:
        return 0
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    groups = _by(runs, lambda run: (run.folders.dataset, run.folders.size))
    for group in groups:
        text = placed(text, section(group), *markers(group[0].folders))
    for group in groups:
        with written_beside(page.parent / picture(group[0].folders)) as part:
            draw(group, part)
    write_text(page, text)
    return len(runs)


def markers(folders: Folders) -> tuple[str, str]:
    """Returns what stands before and behind the section of a dataset and size."""
    name = f"transfer:{folders.dataset}:{folders.size}"
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def picture(folders: Folders) -> str:
    """Returns the file name of the plot of a dataset and size."""
    return f"results_transfer_{folders.dataset}_{folders.size}.png"


def section(runs: Sequence[Finished]) -> str:
    """Returns the Markdown of one dataset and size.

    Args:
        runs: Finished of one dataset and size.
    """
    ours = runs[0].folders
    parts = [
        f"### {_TITLES[ours.dataset]}, {ours.size}",
        _filled(_data_text(runs)),
        _accuracy_table(runs),
        *filter(None, [_difference_text(runs), _label_text(runs)]),
        f"![Top-1 by the share of labels]({picture(ours)})",
    ]
    for text in (_match_text(runs), _step_text(ours)):
        parts += text
    machines = (
        hardware(json.loads((run.folder / "machine.json").read_text(encoding="utf-8")), ours.size)
        for run in runs
    )
    return "\n\n".join(
        [
            *parts,
            "Settings; what is left out is its default:",
            _settings_list(runs),
            _filled("Hardware: " + "; ".join(dict.fromkeys(machines)) + "."),
        ]
    )


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
    said = (
        f"{len(metrics['per_class'])} classes, {clips['train']} training and {metrics['videos']} "
        f"test videos ({metrics['protocol']['scored']}); one test video is "
        f"{100 / metrics['videos']:.2f} points. {seen} "
        f"{choosing['train']} of the training videos; the other {choosing['val']}, of "
        f"{films['held_out_films']} held-out films, are for the matching. "
    )
    if films.get("films_in_training_and_test"):
        said += (
            f"{films['films_in_training_and_test']} films give clips to both sides of the official "
            "split: teacher, pre-training and fine-tuning all see their training clips. "
        )
    if teachers:
        held_out = _mean([100 * teacher["held_out"] for teacher in teachers])
        said += f"The teacher's stills: {teachers[0]['stills']}; top-1 {held_out} % on held-out"
        if not drawn:
            test = _mean([100 * teacher["test"] for teacher in teachers])
            said += (
                f" videos' middle frames, {test} % on the test videos'. So the teacher knows the "
                "labels of all the videos that it saw: with few labels for fine-tuning, starts "
                "from it rest on more labels than random weights do."
            )
        else:
            said += " stills. It never saw a label of the videos."
    return said


def _labels(runs: Sequence[Finished], percent: int) -> int:
    """How many videos they are, as no class has less than one and none a part of one."""
    ours = runs[0].folders
    return len(label_subset(listed_clips(ours.final), percent, ours.seed))


def _accuracy_table(runs: Sequence[Finished]) -> str:
    percents = sorted({run.percent for run in runs})
    head = [
        "start",
        *(f"{percent} % of the labels ({_labels(runs, percent)})" for percent in percents),
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for of_start in _by(runs, lambda run: run.start):
        cells = [STARTS[of_start[0].start].title]
        for percent in percents:
            own = [run for run in of_start if run.percent == percent]
            top1 = [run.top1 for run in own]
            each = ", ".join(f"{value:.1f}" for value in top1)
            cells.append(f"{_mean(top1)} ({each})" if len(own) > 1 else each)
        lines.append(_row(cells))
    chance = 100 / len(runs[0].metrics["per_class"])
    lines.append(_row(["chance", *[f"{chance:.1f}"] * len(percents)]))
    return "\n".join(lines)


# What differs.


@dataclasses.dataclass(frozen=True)
class Difference:
    """A start less another, over the seeds that both have.

    Attributes:
        mean: float. Points.
        error: float. Standard error of the mean; None of a single seed.
        seeds: int.
    """

    mean: float
    error: float | None
    seeds: int

    @property
    def is_beyond_spread(self) -> bool:
        """Whether zero lies outside of Student's interval of the mean."""
        from scipy.stats import t

        if self.error is None:
            return False
        reach = t.ppf((1 + _CONFIDENCE) / 2, self.seeds - 1) * self.error
        return abs(self.mean) > reach

    def __str__(self) -> str:
        return f"{self.mean:+.1f}" + ("" if self.error is None else f" ± {self.error:.1f}")


def paired_difference(first: dict[int, float], second: dict[int, float]) -> Difference | None:
    """Compares two starts seed by seed, as a seed has one teacher and one choice of labels.

    Args:
        first: top-1 by seed.
        second: the same of what it is compared with.

    Returns:
        Difference, or None if they have no seed in common.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    each = [first[seed] - second[seed] for seed in seeds]
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else None
    return Difference(statistics.mean(each), error, len(each))


def _difference_text(runs: Sequence[Finished]) -> str:
    """A table of the differences to random weights, and which are beyond the spread."""
    by_seed = _by_seed(runs)
    percents = sorted({percent for _, percent in by_seed})
    others = [s for s in STARTS if s != "random" and any((s, p) in by_seed for p in percents)]
    if not others or not any(("random", percent) in by_seed for percent in percents):
        return ""
    head = ["less random weights", *(f"{percent} %" for percent in percents)]
    lines = [_row(head), _row(["---"] * len(head))]
    beyond, differences = [], 0
    for start in others:
        cells = [STARTS[start].title]
        for percent in percents:
            found = paired_difference(
                by_seed.get((start, percent), {}), by_seed.get(("random", percent), {})
            )
            cells.append("" if found is None else str(found))
            differences += found is not None
            if found is not None and found.is_beyond_spread:
                beyond.append(f"{STARTS[start].title} at {percent} % ({found})")
        lines.append(_row(cells))
    said = "; ".join(beyond) if beyond else "none"
    note = _filled(
        "Mean of the seeds' differences in points ± its standard error. Of these "
        f"{differences} differences the {100 * _CONFIDENCE:.0f} % interval of the mean "
        "(Student's, over seeds; the test videos are always the same) leaves zero out for: "
        f"{said}. By chance alone about {(1 - _CONFIDENCE) * differences:.1f} would."
    )
    return "\n".join(lines) + f"\n\n{note}"


def _label_text(runs: Sequence[Finished]) -> str:
    """With how many labels each start is as right as random weights are with more."""
    means = {key: statistics.mean(seeds.values()) for key, seeds in _by_seed(runs).items()}
    random = {percent: mean for (start, percent), mean in means.items() if start == "random"}
    lines = []
    for start in STARTS:
        own = {percent: mean for (name, percent), mean in means.items() if name == start}
        if start == "random" or not own or not random:
            continue
        reached = []
        for percent, mean in sorted(random.items()):
            enough = fewest_labels(own, mean)
            told = "no percent tried" if enough is None else f"{enough} %"
            reached.append(f"{told} reaches its {mean:.1f} at {percent} %")
        lines.append(f"- {STARTS[start].title}: {', '.join(reached)}.")
    if not lines:
        return ""
    return "Fewest labels whose mean is at least that of random weights:\n\n" + "\n".join(lines)


def fewest_labels(top1: dict[int, float], wanted: float) -> int | None:
    """Returns the smallest percent whose top-1 is at least what is wanted, None without one.

    Args:
        top1: mean top-1 by percent of the labels.
        wanted: float.
    """
    return min((percent for percent, mean in top1.items() if mean >= wanted), default=None)


def _by_seed(runs: Sequence[Finished]) -> dict[tuple[str, int], dict[int, float]]:
    """Top-1 by start and percent, then by seed."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for run in runs:
        found.setdefault((run.start, run.percent), {})[run.folders.seed] = run.top1
    return found


# The matching.


def _match_text(runs: Sequence[Finished]) -> list[str]:
    found = [
        json.loads(folders.match.read_text(encoding="utf-8"))
        for folders in _seeds(runs)
        if folders.match.is_file()
    ]
    if not found:
        return []
    head = ["matcher", *(title for _, _, title in _CONDITIONS)]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, title in _MATCHERS.items():
        own = [match["accuracy"][name] for match in found if name in match["accuracy"]]
        cells = [title]
        for view, negatives, _ in _CONDITIONS:
            values = [100 * a[view][negatives] for a in own if negatives in a[view]]
            cells.append(_mean(values) if values else "")
        if own:
            lines.append(_row(cells))
    pairs = found[0]["pairs"]
    text = _filled(
        "Do frames and clip belong together? Percent told right, 50 is chance, mean ± standard "
        f"deviation over seeds. {found[0]['clips']} clips of {found[0]['films']} held-out films, "
        "each with its own frames and with those of a clip of another film, drawn once a seed: "
        f"any ({pairs['random']} pairs), or of the same class ({pairs['same_class']} pairs); all "
        "matchers are asked about the same pairs. Same view: clip and frames are the same centre "
        "view; the histogram's distance of a clip to its own frames is exactly zero then, so "
        "that its figure there says nothing of how hard the matching is. Other view: the clip is "
        f"{found[0]['other_view']}, the frames the centre view, which is what students met in "
        "training (but one whose teacher was running). "
        "The histogram counts 8x8x8 colours of all pixels; pairs match up to a chi-square "
        "distance that is fitted on pairs of training clips with any other film, for each kind of "
        "view; the student has no threshold but zero, which its training has."
    )
    return ["\n".join(lines), text]


def _step_text(folders: Folders) -> list[str]:
    path = folders.of_size / "step.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    head = ["step", "ms, median (quartiles)", "to plain training", "seconds an epoch"]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, milliseconds in found["milliseconds"].items():
        low, _, high = found["quartiles"][name]
        ratio = found["ratios"].get(name)
        cells = [
            name,
            f"{milliseconds:.0f} ({low:.0f} to {high:.0f})",
            "" if ratio is None else f"{ratio:.2f}",
            f"{found['epoch_seconds'][name]:.1f}",
        ]
        lines.append(_row(cells))
    text = _filled(
        f"Matching; compiled steps on a batch of {found['batch_size']} clips in memory, in turns, "
        f"{found['rounds']} rounds (asked for: at most {found['allowed']} with cached features); "
        "whole epochs of `train` and `pretrain` as a user starts them, files included but no "
        "validation, one after the other. Caching the features of the training videos took "
        f"{found['feature_seconds']:.1f} s, once. Load of the machine before: "
        f"{found['machine']['load_at_start']}. {hardware(found['machine'], folders.size)}."
    )
    return ["\n".join(lines), text]


# The settings.


def _settings_list(runs: Sequence[Finished]) -> str:
    """What teacher, pre-training and fine-tuning were told."""
    ours = runs[0].folders
    teacher = DATASETS[ours.dataset][ours.size].teacher
    stills = _told(dataclasses.asdict(teacher), {"per_look": 0})
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
        items.append(f"pre-training: {epochs}, {common}; minutes a run: {', '.join(each)}")
    common, epochs = _common((run.folder / "run" for run in runs), TrainConfig())
    each = [
        f"{of_percent[0].percent} % {_steps(of_percent[0].folder / 'run')} steps, "
        f"{statistics.mean(_minutes(run.folder / 'run' for run in of_percent)):.1f} minutes"
        for of_percent in _by(runs, lambda run: run.percent)
    ]
    items.append(f"fine-tuning: {common}; a run with {', '.join(each)}")
    return "\n".join(
        textwrap.fill(
            f"{item}.",
            98,
            initial_indent="- ",
            subsequent_indent="  ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        for item in items
    )


def _common(run_dirs: Iterable[Path], default: Any) -> tuple[str, str]:
    """What all runs were told alike, and their epochs.

    Raises:
        ValueError: if they were told differently.
    """
    flat: dict[str, Any] = {}
    folders = list(run_dirs)
    epochs = set()
    for folder in folders:
        config = flat_config(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))
        epochs.add(config["epochs"])
        config = {name: value for name, value in config.items() if name not in _TOLD_ELSEWHERE}
        if flat and config != flat:
            raise ValueError(
                "The runs of a table must have trained with one setting. Received: "
                f"{folders[0]} and {folder}, whose config.yaml differ"
            )
        flat = config
    defaults = {
        name: plain_value(value) for name, value in flat_config(dataclasses.asdict(default)).items()
    }
    return _told(flat, defaults), f"{', '.join(map(str, sorted(epochs)))} epochs"


def _told(values: dict[str, Any], defaults: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {json.dumps(value)}"
        for name, value in values.items()
        if value is not None
        and (name in _ALWAYS_TOLD or name not in defaults or value != defaults[name])
    )


def _minutes(run_dirs: Iterable[Path]) -> list[float]:
    return [sum(row["seconds"] for row in read_history(folder)) / 60 for folder in run_dirs]


def _steps(run_dir: Path) -> int:
    """How many steps a run had, by the number of its newest checkpoint."""
    paths = (run_dir / "checkpoints").glob("step-*.npz")
    return max(int(path.stem.removeprefix("step-")) for path in paths)


# Small things.


def _by(runs: Sequence[Finished], key: Any) -> list[list[Finished]]:
    ordered: dict[Any, list[Finished]] = {}
    for run in runs:
        ordered.setdefault(key(run), []).append(run)
    return list(ordered.values())


def _seeds(runs: Sequence[Finished]) -> list[Folders]:
    """Folders of each seed, once."""
    return sorted({run.folders for run in runs}, key=lambda folders: folders.seed)


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _filled(text: str) -> str:
    return textwrap.fill(text, 98, break_on_hyphens=False, break_long_words=False)


def draw(runs: Sequence[Finished], path: Path) -> None:
    """Draws top-1 by the share of labels.

    Args:
        runs: Finished of one dataset and size.
        path: Path of the picture.
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

"""The tables of `streaming_jhmdb.py`: accuracy, and differences with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

DIFFERENCES = (
    ("causal", "not causal"),
    ("causal, all frames", "causal"),
    ("causal, every 4th frame", "causal"),
    ("causal, 96 px", "causal"),
)
_SAMPLES = 10_000


def section(
    runs: Sequence[dict[str, Any]], probes: Sequence[dict[str, Any]], machine: str
) -> dict[str, Any]:
    """Returns the study's section of the results page.

    Args:
        runs: trained networks.
        probes: networks where training starts.
        machine: what computed them.
    """
    return {
        "title": "Streams on JHMDB: what does a causal network lose?",
        "command": "python studies/streaming_jhmdb.py --videos ../shared/data/jhmdb "
        "--out runs/imagenet",
        "machine": machine,
        "blocks": [
            "`t3d_lite0` from ImageNet at 128 pixels, clips of 16 frames, stages 1 to 5 frozen, as "
            "in the recipe `own_videos_stream`: top-1 of the centre views of the test videos of "
            "official splits. Without another note a network reads every second frame. "
            "Differences are of the same splits and seeds; their 95 % interval is the percentile "
            "bootstrap over the films of the test videos, with runs of other seeds averaged.",
            *_tables("Where training starts, a logistic regression, on splits", probes),
            *_tables("Trained, on splits", runs),
        ],
        "runs": list(runs),
        "probes": list(probes),
    }


def _tables(title: str, runs: Sequence[dict[str, Any]]) -> list[Any]:
    """Returns the scores of some runs, and their differences."""
    if not runs:
        return []
    arms = dict.fromkeys(run["arm"] for run in runs)
    rows = [[arm, [run["top1"] for run in runs if run["arm"] == arm]] for arm in arms]
    differences = [
        [f"{arm}, beside {other}", *difference(runs, arm, other)]
        for arm, other in DIFFERENCES
        if _pairs(runs, arm, other)
    ]
    of_differences = {
        "columns": ["difference", "runs", "points", "95 % interval"],
        "rows": differences,
    }
    splits = ", ".join(sorted({str(run["split"]) for run in runs}))
    return [
        f"{title} {splits}:",
        {"columns": ["network", "top-1"], "rows": rows, "decimals": 1},
        *([of_differences] if differences else []),
    ]


def difference(runs: Sequence[dict[str, Any]], arm: str, other: str) -> tuple[str, str, str]:
    """Returns the number of pairs, their mean difference in points, and its interval."""
    pairs = _pairs(runs, arm, other)
    random = np.random.default_rng(0)
    samples = np.mean([_resampled(of_split, random) for of_split in _by_split(pairs)], axis=0)
    mean = np.mean([mine["top1"] - theirs["top1"] for mine, theirs in pairs])
    low, high = (_signed(each) for each in np.quantile(samples, [0.025, 0.975]))
    return str(len(pairs)), _signed(mean), f"{low} to {high}"


def _signed(points: Any) -> str:
    return f"{round(float(points), 1) + 0.0:+.1f}"  # no -0.0


def _pairs(
    runs: Sequence[dict[str, Any]], arm: str, other: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    theirs = {(run["split"], run["seed"]): run for run in runs if run["arm"] == other}
    return [
        (run, theirs[run["split"], run["seed"]])
        for run in runs
        if run["arm"] == arm and (run["split"], run["seed"]) in theirs
    ]


def _by_split(pairs: Sequence[tuple[Any, Any]]) -> list[list[tuple[Any, Any]]]:
    splits = dict.fromkeys(mine["split"] for mine, _ in pairs)
    return [[pair for pair in pairs if pair[0]["split"] == split] for split in splits]


def _resampled(pairs: Sequence[tuple[Any, Any]], random: np.random.Generator) -> np.ndarray:
    """Returns differences in points over films that are drawn with replacement."""
    right = np.mean([_right(mine) - _right(theirs) for mine, theirs in pairs], axis=0)
    videos = np.array(pairs[0][0]["films"])[:, 1]
    drawn = random.integers(0, len(videos), (_SAMPLES, len(videos)))
    return np.asarray(100 * right[drawn].sum(axis=1) / videos[drawn].sum(axis=1))


def _right(run: dict[str, Any]) -> np.ndarray:
    return np.array(run["films"])[:, 0]

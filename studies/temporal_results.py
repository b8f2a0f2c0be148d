"""The table of `temporal_layers.py`: accuracy, and effects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

EFFECTS = (
    ("TTL", "no temporal layer"),
    ("temporal convolutions", "no temporal layer"),
    ("STC", "no temporal layer"),
    ("TTL and STC", "TTL"),
    ("STC, averaged", "no temporal layer"),
)


def section(runs: Sequence[dict[str, Any]], machine: str) -> dict[str, Any]:
    """Returns the study's section of the results page."""
    rows = []
    for labels in sorted({run["labels"] for run in runs}, reverse=True):
        of = [run for run in runs if run["labels"] == labels]
        for arm in dict.fromkeys(run["arm"] for run in of):
            mine = [run for run in of if run["arm"] == arm]
            rows.append([arm, f"{labels} %", str(len(mine)), [r["start"] for r in mine],
                         [r["top1"] for r in mine]])  # fmt: skip
    effects = [
        [f"{arm}, beside {other}", f"{labels} %", *effect(runs, arm, other, labels)]
        for labels in sorted({run["labels"] for run in runs}, reverse=True)
        for arm, other in EFFECTS
        if len(_differences(runs, arm, other, labels)) > 1
    ]
    return {
        "title": "Temporal layers on JHMDB: do they help?",
        "command": "python studies/temporal_layers.py --videos ../shared/data/jhmdb "
        "--out runs/imagenet",
        "machine": machine,
        "blocks": [
            "`t3d_lite0` from ImageNet at 128 pixels, stages 1 to 5 frozen. Top-1 of the centre "
            "views of the test videos, over official splits and seeds; all networks start from a "
            "logistic regression of ImageNet features, whose top-1 is the column before. STC "
            "blocks sum their two gates, which is about 1 at the start, or average them: 1/2.",
            {
                "columns": ["temporal layers", "labels", "runs", "before", "trained"],
                "rows": rows,
                "decimals": 1,
            },
            *_effects_blocks(effects),
        ],
        "runs": list(runs),
    }


def _effects_blocks(effects: list[list[str]]) -> list[Any]:
    if not effects:
        return []
    return [
        "Differences of two networks of the same split and seed, with the 95 % interval of their "
        "mean (Student's t over the runs; the splits share videos, so it is somewhat too narrow).",
        {"columns": ["effect", "labels", "runs", "points", "95 % interval"], "rows": effects},
    ]


def effect(
    runs: Sequence[dict[str, Any]], arm: str, other: str, labels: int
) -> tuple[str, str, str]:
    """Returns the number of pairs, their mean difference in points, and its interval."""
    differences = _differences(runs, arm, other, labels)
    mean = float(np.mean(differences))
    low, high = stats.t.interval(
        0.95, len(differences) - 1, mean, max(float(stats.sem(differences)), 1e-9)
    )
    return str(len(differences)), f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}"


def _differences(runs: Sequence[dict[str, Any]], arm: str, other: str, labels: int) -> list[float]:
    def scores(name: str) -> dict[tuple[int, int], float]:
        return {
            (run["split"], run["seed"]): run["top1"]
            for run in runs
            if (run["arm"], run["labels"]) == (name, labels)
        }

    mine, theirs = scores(arm), scores(other)
    return [mine[key] - theirs[key] for key in mine if key in theirs]

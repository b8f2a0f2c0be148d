"""Compares the starts of `transfer_study.py` with random weights, seed by seed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import Any

from transfer_settings import STARTS

Top1BySeed = dict[tuple[str, int], dict[int, float]]  # by start and percent, then by seed
_CONFIDENCE = 0.95  # of the interval outside of which a difference is named


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean difference of two starts, over the seeds that both have.

    Attributes:
        mean: in points.
        error: standard error of the mean; None for a single seed.
        seeds: number of seeds.
    """

    mean: float
    error: float | None
    seeds: int

    @property
    def is_beyond_spread(self) -> bool:
        """Returns True if Student's interval of the mean excludes zero."""
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
        second: top-1 by seed of the other start.

    Returns:
        The difference, or None if they have no seed in common.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    each = [first[seed] - second[seed] for seed in seeds]
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else None
    return Difference(statistics.mean(each), error, len(each))


def fewest_labels(top1: dict[int, float], wanted: float) -> int | None:
    """Returns the smallest percent whose top-1 is at least `wanted`, or None.

    Args:
        top1: mean top-1 by percent of the labels.
        wanted: top-1 to reach.
    """
    return min((percent for percent, mean in top1.items() if mean >= wanted), default=None)


def difference_blocks(by_seed: Top1BySeed) -> list[Any]:
    """Returns tables of the differences from random weights, with their explanation."""
    percents = sorted({percent for _, percent in by_seed})
    others = [s for s in STARTS if s != "random" and any((s, p) in by_seed for p in percents)]
    if not others or not any(("random", percent) in by_seed for percent in percents):
        return []
    rows, beyond, count = [], [], 0
    for start in others:
        cells: list[Any] = [STARTS[start].title]
        for percent in percents:
            found = paired_difference(
                by_seed.get((start, percent), {}), by_seed.get(("random", percent), {})
            )
            cells.append(None if found is None else str(found))
            count += found is not None
            if found is not None and found.is_beyond_spread:
                beyond.append(f"{STARTS[start].title} at {percent} % ({found})")
        rows.append(cells)
    shares = [f"{percent} %" for percent in percents]
    return [
        {"columns": ["difference from random weights", *shares], "rows": rows},
        "Mean of the seeds' differences in points ± its standard error. Of these "
        f"{count} differences the {100 * _CONFIDENCE:.0f} % interval of the mean (Student's, over "
        "seeds; the test videos are always the same) excludes zero for: "
        f"{'; '.join(beyond) or 'none'}. By chance alone about {(1 - _CONFIDENCE) * count:.1f} "
        "would.",
        "Fewest labels whose mean is at least that of random weights:",
        _label_table(by_seed, others),
    ]


def _label_table(by_seed: Top1BySeed, others: list[str]) -> dict[str, Any]:
    means = {key: statistics.mean(seeds.values()) for key, seeds in by_seed.items()}
    random = sorted(
        (percent, mean) for (start, percent), mean in means.items() if start == "random"
    )
    rows = []
    for start in others:
        own = {percent: mean for (name, percent), mean in means.items() if name == start}
        reached = [fewest_labels(own, mean) for _, mean in random]
        cells = ["not reached" if percent is None else f"{percent} %" for percent in reached]
        rows.append([STARTS[start].title, *cells])
    shares = [f"{mean:.1f} (random weights at {percent} %)" for percent, mean in random]
    return {"columns": ["start", *shares], "rows": rows}

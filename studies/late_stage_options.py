"""Options that the studies of late stages share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def study_parser(
    description: str | None, arms: Iterable[str], splits: list[int]
) -> argparse.ArgumentParser:
    """Returns a parser of what is run, on what, and where it is written.

    Args:
        description: docstring of the study, which starts with a summary line.
        arms: names of the networks to compare, all of them by default.
        splits: official splits of JHMDB to run by default.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--videos", type=Path, required=True, help="JHMDB with its manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of shards and outputs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--arms", nargs="+", choices=list(arms), default=list(arms))
    parser.add_argument("--splits", type=int, nargs="+", choices=(1, 2, 3), default=splits)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser

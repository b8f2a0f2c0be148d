"""Writes a study's results as a dated JSON file: see `results_page.py` for the format."""

from __future__ import annotations

import datetime
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_t3d.atomic import write_text


def write_result(folder: Path, name: str, result: dict[str, Any]) -> Path:
    """Writes `YYYY-MM-DD-NAME.json` with today's date; returns its path.

    Args:
        folder: where results lie; `studies/results` is what the page shows.
        name: name of the section.
        result: `title`, `command`, `machine`, `blocks`.
    """
    path = folder / f"{datetime.date.today().isoformat()}-{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return path


def newest_result(folder: Path, name: str) -> dict[str, Any] | None:
    """Returns the newest result of a section, or None."""
    files = sorted(folder.glob(f"*-{name}.json"))
    return json.loads(files[-1].read_text(encoding="utf-8")) if files else None


def mean_and_deviation(values: Sequence[float]) -> str:
    """Returns mean ± standard deviation, or the value if there is only one."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def rounded(values: Sequence[float]) -> list[float]:
    """Returns percentages as the page shows them."""
    return [round(value, 1) for value in values]


def flatten_config(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a configuration by dotted keys; `model.options` stays one value."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key != "model.options":
            flat |= flatten_config(value, f"{key}.")
        else:
            flat[key] = value
    return flat

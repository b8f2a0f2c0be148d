"""The files of an evaluation: metrics.json, predictions.csv, confusion.png."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
from typing import Any

import numpy as np

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.evaluation.metrics import compute_metrics, confusion
from keras_t3d.evaluation.scores import VideoScores


def write_report(
    scores: VideoScores, out: str | os.PathLike[str], protocol: dict[str, Any]
) -> dict[str, Any]:
    """Writes `metrics.json`, `predictions.csv` and `confusion.png`.

    Args:
        scores: VideoScores.
        out: folder to write to; files of the same names are replaced.
        protocol: dict of plain values. How the scores came about (model, split,
            views, crops, ...); stands in `metrics.json`, so that a figure is
            never without it.

    Returns:
        What `metrics.json` holds.
    """
    folder = pathlib.Path(out)
    metrics = {"protocol": protocol, **compute_metrics(scores)}
    write_text(folder / "predictions.csv", _predictions_csv(scores))
    with written_beside(folder / "confusion.png") as part:
        _draw_confusion(confusion(scores), scores.class_names, part)
    text = json.dumps(metrics, indent=1, ensure_ascii=False)
    write_text(folder / "metrics.json", text + "\n")
    return metrics


def _predictions_csv(scores: VideoScores) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "label", "predicted", "probability", *scores.class_names])
    for video, label, probabilities in zip(
        scores.video_ids, scores.labels, scores.probabilities, strict=True
    ):
        best = int(probabilities.argmax())
        row = [video, scores.class_names[label], scores.class_names[best], probabilities[best]]
        writer.writerow([*row[:3], *(f"{value:.6f}" for value in (row[3], *probabilities))])
    return text.getvalue()


def _draw_confusion(counts: np.ndarray, names: tuple[str, ...], path: pathlib.Path) -> None:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches = min(4 + 0.28 * len(names), 30)
    figure = Figure(figsize=(inches, inches * 0.9), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    if len(names) <= 60:
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
    if len(names) <= 25:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    figure.savefig(path, dpi=120, metadata={"Software": None})

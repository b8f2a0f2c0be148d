"""Tables of a report as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_t3d.evaluation.scores import VideoScores


def predictions_csv(scores: VideoScores) -> str:
    """Returns one row per video: its true and predicted class and all probabilities."""

    def rows() -> Iterable[list[Any]]:
        for video, label, probabilities in zip(
            scores.video_ids, scores.labels, scores.probabilities, strict=True
        ):
            best = int(probabilities.argmax())
            names = scores.class_names[label], scores.class_names[best]
            numbers = (f"{value:.6f}" for value in (probabilities[best], *probabilities))
            yield [video, *names, *numbers]

    return _csv(["video", "label", "predicted", "probability", *scores.class_names], rows())


def per_class_csv(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns one row per class of `per_class` of `compute_metrics`."""
    columns = list(next(iter(per_class.values())))
    return _csv(
        ["class", *columns],
        ([name, *(metrics[column] for column in columns)] for name, metrics in per_class.items()),
    )


def confusion_csv(counts: np.ndarray, names: Sequence[str]) -> str:
    """Returns one row per true class, one column per predicted class."""
    return _csv(
        ["true class", *names],
        ([name, *row] for name, row in zip(names, counts.tolist(), strict=True)),
    )


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(
        [f"{value:.6f}" if isinstance(value, float) else value for value in row] for row in rows
    )
    return text.getvalue()

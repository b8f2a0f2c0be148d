"""The picture of the demo's results: a video of each class, its prediction and its heat."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.evaluation.heat_overlay import draw_heat, stretch

_FRAMES = 6  # of each video, spread over its clip
_COLUMNS = 2
_RIGHT, _WRONG = "#1a7f37", "#b42318"


def draw_results(
    path: str | os.PathLike[str],
    model: Any,
    clips: Sequence[np.ndarray],
    labels: Sequence[int],
    title: str,
) -> None:
    """Draws frames of clips, the heat of the predicted class over them, and the prediction.

    Args:
        path: path of the PNG file.
        model: as for `grad_cam`.
        clips: clips that the model reads, uint8.
        labels: index of the class of each.
        title: title of the picture.

    Example:

    ```python
    draw_results("results.png", model, clips[:2], [0, 1], "Two clips")
    ```
    """
    from matplotlib.figure import Figure  # pyplot would have global state and need a display

    from keras_t3d.evaluation import HeatMaps  # imports Keras

    maps = HeatMaps(model)
    rows = -(-len(clips) // _COLUMNS)
    figure = Figure(figsize=(6.5 * _COLUMNS, 2.6 * rows + 0.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=12)
    for number, (clip, label) in enumerate(zip(clips, labels, strict=True), start=1):
        probabilities, heat, index = maps.compute(clip)
        axes = figure.add_subplot(rows, _COLUMNS, number)
        axes.imshow(_strip(clip, heat, maps.clip_spec))
        axes.set_axis_off()
        true, predicted = maps.class_names[label], maps.class_names[index]
        text = f"{true}: predicted {predicted}, {probabilities[index]:.0%}"
        colour = _RIGHT if index == label else _WRONG
        axes.set_title(text, loc="left", fontsize=10, color=colour, parse_math=False)
    with written_beside(path) as part:
        figure.savefig(part, format="png")


def _strip(clip: np.ndarray, heat: np.ndarray, clip_spec: Any) -> np.ndarray:
    """Returns some frames of a clip side by side, and below them the same with heat."""
    height, width = clip.shape[1:3]
    whole = dataclasses.replace(clip_spec, resize=min(height, width), crop=(height, width))
    chosen = np.linspace(0, len(clip) - 1, min(_FRAMES, len(clip))).round().astype(int)
    fine = stretch(heat, [len(clip)]) / (heat.max() or 1.0)
    plain = np.concatenate(list(clip[chosen]), axis=1)
    hot = np.concatenate([draw_heat(clip[n], fine[n], whole) for n in chosen], axis=1)
    return np.concatenate([plain, hot])

"""What a smaller LiteRT file costs: how often, and where, it answers otherwise."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_t3d.cores import usable_cores
from keras_t3d.deploy.integer_conversion import LayerError

_MARGIN = 0.1  # of the best probability over the next: the network knows what it says
_TIMED_RUNS = 11
_LEAST = 1e-30


@dataclasses.dataclass(frozen=True)
class QuantizationReport:
    """A quantized file beside the network in floats, on the same clips.

    Attributes:
        num_clips: int.
        agreement: float. Share of clips with the same best class.
        confident_agreement: float or None. The same of clips whose best class is 0.1 ahead of
            the next in floats; None without any.
        num_confident: int. How many those are.
        correlation: float. Of the logits, see `logit_correlation`.
        largest_difference: float. Largest absolute difference of a probability.
        float_top1, top1: float or None. Accuracy of either; None without labels.
        top1_interval: (float, float) or None. 95 % interval of the change of accuracy, over which
            clips happen to be compared.
        float_bytes, num_bytes: int. Sizes of the float32 file and of this one.
        float_milliseconds, milliseconds: float. Median time of one clip here, in turns.
        threads: int. That both ran on.
        layer_errors: tuple of LayerError, the worst first; empty for weights alone.
    """

    num_clips: int
    agreement: float
    confident_agreement: float | None
    num_confident: int
    correlation: float
    largest_difference: float
    float_top1: float | None
    top1: float | None
    top1_interval: tuple[float, float] | None
    float_bytes: int
    num_bytes: int
    float_milliseconds: float
    milliseconds: float
    threads: int
    layer_errors: tuple[LayerError, ...] = ()

    def lines(self, worst: int = 5) -> list[str]:
        """What to print.

        Args:
            worst: int. How many layers. Defaults to 5.
        """
        said = [
            f"size {self.num_bytes / 1e6:.2f} MB, {self.num_bytes / self.float_bytes:.2f} of "
            f"float32's; {self.milliseconds:.1f} ms a clip, float32 {self.float_milliseconds:.1f} "
            f"({self.threads} threads)",
            f"same top class as in floats: {self.agreement:.1%} of {self.num_clips} clips"
            + (
                ""
                if self.confident_agreement is None
                else f"; {self.confident_agreement:.1%} of the {self.num_confident} where it is "
                f"{_MARGIN} ahead"
            )
            + f"; correlation of logits {self.correlation:.4f}",
        ]
        if self.top1 is not None and self.float_top1 is not None and self.top1_interval:
            low, high = self.top1_interval
            said.append(
                f"top-1 {self.top1:.1%}, in floats {self.float_top1:.1%}; change "
                f"{100 * (self.top1 - self.float_top1):+.1f} points (95 %: {100 * low:+.1f} to "
                f"{100 * high:+.1f})"
            )
        if self.layer_errors:
            said.append("largest errors of a layer, of its values' size:")
            said += [
                f"  {error.error:7.2%}  {error.layer} ({error.operation})"
                for error in self.layer_errors[:worst]
            ]
        return said


def compare(
    expected: np.ndarray,
    found: np.ndarray,
    labels: np.ndarray | None,
    contents: tuple[bytes, bytes],
    layer_errors: tuple[LayerError, ...] = (),
    step: float = 0.0,
) -> QuantizationReport:
    """Makes the report.

    Args:
        expected, found: float arrays of shape (clips, classes), probabilities in floats and of
            the quantized file.
        labels: int array of shape (clips,), or None.
        contents: the float32 file and the quantized one.
        layer_errors: see QuantizationReport.
        step: float. Between two probabilities that the quantized file can tell apart. Defaults to
            0.
    """
    best = expected.argmax(1) == found.argmax(1)
    ordered = np.sort(expected, axis=1)
    confident = ordered[:, -1] - ordered[:, -2] > _MARGIN if expected.shape[1] > 1 else best
    threads = usable_cores()
    float_time, own_time = _times(contents, threads)
    accuracies: dict[str, Any] = dict.fromkeys(("float_top1", "top1", "top1_interval"))
    if labels is not None:
        float_right, right = (values.argmax(1) == labels for values in (expected, found))
        accuracies = {
            "float_top1": float(float_right.mean()),
            "top1": float(right.mean()),
            "top1_interval": change_interval(float_right, right),
        }
    return QuantizationReport(
        num_clips=len(expected),
        agreement=float(best.mean()),
        confident_agreement=float(best[confident].mean()) if confident.any() else None,
        num_confident=int(confident.sum()),
        correlation=logit_correlation(expected, found, step / 2),
        largest_difference=float(np.abs(expected - found).max()),
        float_bytes=len(contents[0]),
        num_bytes=len(contents[1]),
        float_milliseconds=float_time,
        milliseconds=own_time,
        threads=threads,
        layer_errors=layer_errors,
        **accuracies,
    )


def change_interval(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of a change of accuracy, measured on the same clips.

    Half a clip more is counted for each way in which the two can go together. So no change on
    thirty clips is not taken for none at all.

    Args:
        before, after: bool arrays of shape (clips,), whether the answer is right.

    Example:

    ```python
    change_interval(np.ones(30, bool), np.ones(30, bool))  # (-0.061, 0.061)
    ```

    Reference:
        Agresti and Min, "Simple improved confidence intervals for comparing matched
        proportions", Statistics in Medicine 24, 2005
    """
    clips = len(before) + 2
    gained, lost = (after & ~before).sum() + 0.5, (before & ~after).sum() + 0.5
    change = (gained - lost) / clips
    reach = 1.96 * math.sqrt((gained + lost) / clips - change**2) / math.sqrt(clips)
    return float(change - reach), float(change + reach)


def logit_correlation(expected: np.ndarray, found: np.ndarray, least: float = 0.0) -> float:
    """Returns the correlation of two networks' logits, over all clips and classes together.

    Probabilities will do: their logarithms are the logits but for one constant a clip, and each
    clip's mean is taken off.

    Args:
        expected, found: float arrays of shape (clips, classes), probabilities.
        least: float. Smaller ones are taken as this. Defaults to 0.
    """
    least = max(least, _LEAST)
    logits = [np.log(np.maximum(values, least)) for values in (expected, found)]
    own, other = (values - values.mean(axis=1, keepdims=True) for values in logits)
    if not own.any() or not other.any():  # nothing to correlate, as with one class
        return float(np.allclose(own, other))
    return float((own * other).sum() / math.sqrt((own**2).sum() * (other**2).sum()))


def keras_probabilities(model: keras.Model, clips: np.ndarray) -> np.ndarray:
    """Returns a classifier's probabilities, float64 of shape (clips, classes).

    Args:
        model: `keras.Model` from clips to logits.
        clips: uint8 array of shape (clips, T, H, W, 3).
    """
    logits = [
        keras.ops.convert_to_numpy(model(clips[n : n + 1], training=False)).astype(np.float64)
        for n in range(len(clips))
    ]
    exponentials = np.exp([row[0] - row.max() for row in logits])
    return exponentials / exponentials.sum(1, keepdims=True)


def _times(contents: tuple[bytes, bytes], threads: int) -> list[float]:
    runs = []
    for content in contents:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        runs.append(interpreter)
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(_TIMED_RUNS):
        for interpreter, own in zip(runs, times, strict=True):
            start = time.perf_counter()
            interpreter.invoke()
            own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own[1:]) for own in times]

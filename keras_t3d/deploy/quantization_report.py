"""Measures the effect of quantization: agreement, accuracy, size, speed and layer errors."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import loky
import numpy as np

from keras_t3d.deploy.comparison import LabelledClips
from keras_t3d.deploy.errors import QuantizationError
from keras_t3d.deploy.integer_conversion import LayerError

CALIBRATION_CLIPS = 64
# Smallest allowed correlation of 8-bit logits with the float model's.
LEAST_CORRELATION = 0.9
_MARGIN = 0.1  # of the largest probability over the next, from which a prediction is confident
_TIMED_RUNS = 11
_LEAST = 1e-30


@dataclasses.dataclass(frozen=True)
class QuantizationReport:
    """A quantized file compared with the float model on the same clips.

    Attributes:
        num_clips: number of clips; of a stream, of answers: one for each step.
        agreement: share of clips with the same top class.
        confident_agreement: the same over confident clips, whose largest float probability is
            0.1 above the next; None without any.
        num_confident: number of confident clips.
        correlation: of the logits, see `logit_correlation`.
        largest_difference: largest absolute difference of a probability.
        float_top1, top1: accuracy of the float and the quantized model; None without labels.
        top1_interval: 95 % confidence interval of the change of accuracy; None without labels.
        float_bytes, num_bytes: sizes of the float32 and the quantized file.
        float_milliseconds, milliseconds: median time per clip of each, measured in turns.
        threads: number of threads of the time measurement.
        layer_errors: errors of the layers, the largest first; empty for "dynamic".
        unit: what is computed at once: `"clip"`, or `"step"` of a stream.
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
    unit: str = "clip"

    def lines(self, worst: int = 5) -> list[str]:
        """Returns the lines to print.

        Args:
            worst: number of layers to list.
        """
        lines = [
            f"size {self.num_bytes / 1e6:.2f} MB, {self.num_bytes / self.float_bytes:.2f} of "
            f"float32's; {self.milliseconds:.1f} ms per {self.unit}, float32 "
            f"{self.float_milliseconds:.1f} ({self.threads} threads)",
            f"same top class as the float model: {self.agreement:.1%} of {self.num_clips} "
            f"{self.unit}s"
            + (
                ""
                if self.confident_agreement is None
                else f"; {self.confident_agreement:.1%} of the {self.num_confident} confident ones "
                f"(margin {_MARGIN})"
            )
            + f"; correlation of the logits {self.correlation:.4f}",
        ]
        if self.top1 is not None and self.float_top1 is not None and self.top1_interval:
            low, high = self.top1_interval
            lines.append(
                f"top-1 {self.top1:.1%}, float model {self.float_top1:.1%}; change "
                f"{100 * (self.top1 - self.float_top1):+.1f} points (95 %: {100 * low:+.1f} to "
                f"{100 * high:+.1f})"
            )
        if self.layer_errors:
            lines.append("largest layer errors, relative to the layer's values:")
            lines += [
                f"  {error.error:7.2%}  {error.layer} ({error.operation})"
                for error in self.layer_errors[:worst]
            ]
        return lines


@dataclasses.dataclass(frozen=True)
class MeasuredFile:
    """Size of a file, and what computes one clip, or one step, with it."""

    num_bytes: int
    run: Callable[[], object]


Answers = Callable[[np.ndarray], np.ndarray]  # probabilities for uint8 clips, (answers, classes)


def measure(
    expected_of: Answers,
    found_of: Answers,
    batches: Iterable[LabelledClips],
    files: Sequence[MeasuredFile],
    layer_errors: tuple[LayerError, ...] = (),
    step: float = 0.0,
) -> QuantizationReport:
    """Runs the float model and the quantized file on the same clips.

    Args:
        expected_of, found_of: the float model and the quantized file.
        batches: uint8 clips of the model's input shape, with labels or None.
        files: see `compare`, as the other arguments.
    """
    expected, found = [], []
    labels: list[np.ndarray] = []
    for clips, batch_labels in batches:
        expected.append(expected_of(clips))
        found.append(found_of(clips))
        if batch_labels is not None:
            labels.append(np.repeat(batch_labels, len(found[-1]) // len(clips)))
    known = np.concatenate(labels) if len(labels) == len(expected) else None
    return compare(
        np.concatenate(expected), np.concatenate(found), known, files, layer_errors, step
    )


def compare(
    expected: np.ndarray,
    found: np.ndarray,
    labels: np.ndarray | None,
    files: Sequence[MeasuredFile],
    layer_errors: tuple[LayerError, ...] = (),
    step: float = 0.0,
) -> QuantizationReport:
    """Compares the probabilities of the float model and of the quantized file.

    Args:
        expected, found: probabilities of the float model and of the quantized file, float arrays
            of shape (clips, classes).
        labels: int array of shape (clips,), or None.
        files: the float32 file and the quantized one.
        layer_errors: errors of the layers, the largest first.
        step: quantization step of the quantized file's probabilities; 0 for floats.
    """
    best = expected.argmax(1) == found.argmax(1)
    ordered = np.sort(expected, axis=1)
    confident = ordered[:, -1] - ordered[:, -2] > _MARGIN if expected.shape[1] > 1 else best
    threads = loky.cpu_count()
    float_time, quantized_time = _times(files)
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
        float_bytes=files[0].num_bytes,
        num_bytes=files[1].num_bytes,
        float_milliseconds=float_time,
        milliseconds=quantized_time,
        threads=threads,
        layer_errors=layer_errors,
        **accuracies,
    )


def check_correlation(report: QuantizationReport, quantization: str) -> None:
    """Raises QuantizationError if the logits correlate too little with the float model's."""
    if not report.correlation >= LEAST_CORRELATION:  # so that NaN fails too
        worst = [error.layer for error in report.layer_errors[:3]]
        advice = f"set `float_layers` to {' '.join(worst)}, or use " if worst else "use "
        raise QuantizationError(
            f"The logits of `quantization` {quantization!r} correlate with the float model's by "
            f"{report.correlation:.3f}; at least {LEAST_CORRELATION} is required. To improve it, "
            f"{advice}calibration clips like those that the model was trained on.",
            report,
        )


def change_interval(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a change of accuracy on the same clips.

    Half a clip is added to each of the four outcomes of a pair, so that the interval is not
    empty where no clip changes.

    Args:
        before, after: whether each prediction is correct, bool arrays of shape (clips,).

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
    """Returns the correlation of two models' logits, over all clips and classes together.

    Probabilities suffice: their logarithms are the logits up to a constant per clip, and each
    clip's mean is subtracted.

    Args:
        expected, found: probabilities, float arrays of shape (clips, classes).
        least: smaller probabilities are raised to this.
    """
    least = max(least, _LEAST)
    logits = [np.log(np.maximum(values, least)) for values in (expected, found)]
    first, second = (values - values.mean(axis=1, keepdims=True) for values in logits)
    if not first.any() or not second.any():  # nothing to correlate, as with one class
        return float(np.allclose(first, second))
    return float((first * second).sum() / math.sqrt((first**2).sum() * (second**2).sum()))


def _times(files: Sequence[MeasuredFile]) -> list[float]:
    times: list[list[float]] = [[] for _ in files]
    for _ in range(_TIMED_RUNS):
        for file, durations in zip(files, times, strict=True):
            start = time.perf_counter()
            file.run()
            durations.append(1000 * (time.perf_counter() - start))
    return [statistics.median(durations[1:]) for durations in times]

"""Which epoch's model is kept, and when training stops."""

import math
import types

import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training.early_stopping import EarlyStopping
from keras_t3d.training.selection import Selection, SelectionConfig


def history(losses=(), accuracies=()):
    rows = [{"epoch": n + 1} for n in range(max(len(losses), len(accuracies)))]
    for name, values in (("val_cross_entropy", losses), ("val_top1", accuracies)):
        for row, value in zip(rows, values, strict=False):
            row[name] = value
    return rows


@pytest.mark.parametrize(
    ("by", "losses", "accuracies", "best"),
    [
        ("cross_entropy", [2.0, 1.0, 1.5], [0.1, 0.1, 0.9], 1),
        ("cross_entropy", [1.0, 1.0], [0.5, 0.5], 1),  # of equal epochs the later
        ("top1", [1.0, 2.0, 3.0], [0.5, 0.5, 0.4], 1),
        ("smoothed_top1", [], [0.0, 0.9, 0.0, 0.5, 0.5, 0.5, 0.5], 5),
        # Of 12 videos, t3d_tiny from scratch: 13 % of the test videos right after epoch 1.
        ("cross_entropy", [1.9, 7.1, 2.7, 2.3, 2.2], [0.08, 0.17, 0.5, 0.67, 0.58], 0),
        ("smoothed_top1", [1.9, 7.1, 2.7, 2.3, 2.2], [0.08, 0.17, 0.5, 0.67, 0.58], 4),
        ("cross_entropy", [2.0, math.nan, math.inf], [], 0),
        ("cross_entropy", [], [], 2),
    ],
)
def test_the_best_epoch(by, losses, accuracies, best):
    rows = history(losses, accuracies) or [{"epoch": n} for n in (1, 2, 3)]
    assert SelectionConfig(by).best_epoch(rows) == best


@pytest.mark.parametrize(
    ("accuracies", "num_videos", "best"),
    [
        ([0.6, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5], None, 4),
        ([0.6, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5], 12, 6),  # 14 points
        ([0.6, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5], 600, 5),  # 2 points: the means are 60, 58 and 56 %
        ([0.6, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5], 10_000, 4),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9], 12, 6),  # 7 points, though all were right
        ([0.1, 0.6, 0.6, 0.0, 0.0, 0.0, 0.0], 12, 3),
    ],
)
def test_smoothed_accuracies_are_equal_within_their_standard_error(accuracies, num_videos, best):
    assert SelectionConfig().best_epoch(history([], accuracies), num_videos) == best


def test_training_stops_after_epochs_without_a_better_one():
    selection = SelectionConfig("cross_entropy", patience=2)
    rows = history([3.0, 2.0, 2.5, 2.4, 1.0], [0.5] * 5)
    assert [selection.is_over(rows[:n]) for n in range(6)] == [False] * 4 + [True, False]
    assert not SelectionConfig("cross_entropy").is_over(rows[:4])
    flat = history([1.0] * 3, [1.0] * 3)  # an equal epoch is no better one
    assert [SelectionConfig(patience=2).is_over(flat[:n]) for n in (1, 2, 3)] == [
        False,
        False,
        True,
    ]
    assert not SelectionConfig(patience=1).is_over([{"epoch": 1}, {"epoch": 2}])
    callback = EarlyStopping(Selection(selection, 12), rows[:4])
    callback.set_model(types.SimpleNamespace(stop_training=False))
    callback.on_epoch_end(3)
    assert callback.model.stop_training


def test_patience_is_at_least_one():
    with pytest.raises(InvalidArgumentError, match=r"`best\.patience`.*0"):
        SelectionConfig(patience=0)

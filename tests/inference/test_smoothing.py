import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.inference import Exponential, MeanOfLast
from keras_t3d.inference.smoothing import parse_smoothing


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.integers(1, 8))
def test_mean_of_last(values, windows):
    smoothed = MeanOfLast(windows).start()
    got = [smoothed(np.array([value], np.float32))[0] for value in values]
    expected = [np.mean(values[max(i - windows + 1, 0) : i + 1]) for i in range(len(values))]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.floats(0.01, 1))
def test_exponential(values, weight):
    smoothed = Exponential(weight).start()
    expected = values[0]
    for value in values:
        expected = weight * value + (1 - weight) * expected
        got = smoothed(np.array([value], np.float32))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, [expected], atol=1e-5)


def test_a_huge_mean_is_over_all_windows():
    smoothed = parse_smoothing("mean:99999999999999999999").start()
    got = [float(smoothed(np.array([value], np.float32))[0]) for value in (1, 2, 6)]
    assert got == [1, 1.5, 3]


def test_parsing():
    assert parse_smoothing("mean:5") == MeanOfLast(5)
    assert parse_smoothing("exponential:0.3") == Exponential(0.3)


@pytest.mark.parametrize(
    "text",
    ["", "mean", "mean:", "mean:0", "mean:1.5", "exponential:0", "exponential:nan", "median:3"],
)
def test_other_texts_are_rejected(text):
    with pytest.raises(ValueError, match="`smoothing`"):
        parse_smoothing(text)


@pytest.mark.parametrize(
    ("rule", "value"), [(MeanOfLast, 0), (MeanOfLast, 2.5), (Exponential, 1.1)]
)
def test_numbers_out_of_range_are_rejected(rule, value):
    with pytest.raises(ValueError, match="Received"):
        rule(value)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_t3d.inference import Timeline, WindowPrediction
from keras_t3d.inference.timeline import format_time


def scores(index, *probabilities):
    return WindowPrediction(index, index / 2, index / 2 + 1, np.array(probabilities, np.float32))


def test_curves():
    timeline = Timeline(["a", "b"])
    for index in range(5):
        timeline.add(scores(index, index / 10, 1 - index / 10))
    times, probabilities = timeline.curves()
    np.testing.assert_allclose(times, [0.5, 1, 1.5, 2, 2.5])
    np.testing.assert_allclose(probabilities[:, 0], [0, 0.1, 0.2, 0.3, 0.4], atol=1e-6)


@settings(deadline=None)
@given(st.integers(1, 100))
def test_neighbouring_windows_are_averaged(count):
    timeline = Timeline(["a"], max_points=8)
    values = np.random.default_rng(count).uniform(size=count)
    for index, value in enumerate(values):
        timeline.add(scores(index, value))
    times, probabilities = timeline.curves()
    each = 1
    while -(-count // each) > 8:
        each *= 2
    parts = [values[begin : begin + each] for begin in range(0, count, each)]
    np.testing.assert_allclose(probabilities[:, 0], [part.mean() for part in parts], atol=1e-5)
    middles = [each * i / 2 + (len(part) + 1) / 4 for i, part in enumerate(parts)]
    np.testing.assert_allclose(times, middles)


@pytest.mark.parametrize("count", [1, 30, 500])
def test_the_plot_shows_the_classes(tmp_path, count):
    timeline = Timeline(["$flat$", "rising_" * 10, "never"])
    for index in range(count):
        rising = index / count
        timeline.add(scores(index, 0.3, rising, 0.0))
    timeline.save(tmp_path / "new" / "t.png", top=2, title="a$b$_{c}.mp4")
    pixels = np.asarray(Image.open(tmp_path / "new" / "t.png").convert("RGB")).astype(int)
    assert pixels.shape == (450, 1200, 3)
    # Two coloured curves, Matplotlib's first two, and no third.
    for colour, drawn in (((31, 119, 180), True), ((255, 127, 14), True), ((44, 160, 44), False)):
        assert (np.abs(pixels - colour).max(axis=-1) < 8).any() == drawn


def test_wrong_paths_and_empty_timelines_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="`add`"):
        Timeline(["a"]).save(tmp_path / "t.png")
    with pytest.raises(ValueError, match=r"timeline\.png"):
        Timeline(["a"]).save(tmp_path / "t.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00"),
        (7.04, "0:07"),
        (59.96, "1:00"),
        (61.5, "1:01.5"),
        (3723.5, "1:02:03.5"),
        (-1, "-0:01"),
    ],
)
def test_format_time(seconds, shown):
    assert format_time(seconds) == shown

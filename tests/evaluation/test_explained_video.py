"""Videos with heat: over the frames at the right place and time, and below them."""

import dataclasses

import numpy as np
import pytest

from keras_t3d import cli
from keras_t3d.clips import ClipSpec
from keras_t3d.data import read_video
from keras_t3d.evaluation import explain_video, explained_video
from keras_t3d.evaluation.heat_overlay import (
    draw_heat,
    heat_strip,
    read_rectangle,
    stretch,
    with_strip,
)
from tests.conftest import write_video
from tests.evaluation.test_grad_cam import SPEC, brightness_network


@pytest.fixture(scope="module")
def network():
    return brightness_network()


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A video of 10 frames at 25 fps in which a square moves by a cell of 4 pixels per 2 frames."""
    frames = np.zeros((10, 32, 32, 3), np.uint8)
    for number, frame in enumerate(frames):
        left = 4 + 4 * (number // 2)
        frame[12:16, left : left + 4] = 255
    return write_video(tmp_path_factory.mktemp("videos") / "moving.mp4", frames)


@pytest.fixture
def drawn(monkeypatch):
    """The heat that is drawn over each frame."""
    found = []

    def record(pixels, heat, clip_spec):
        found.append(heat)
        return draw_heat(pixels, heat, clip_spec)

    monkeypatch.setattr(explained_video, "draw_heat", record)
    return found


@pytest.mark.parametrize(
    ("stride", "fps", "read"),
    [
        (1, None, list(range(10))),
        # The second window of 2 x 4 frames ends with the video, and begins at frame 2.
        (2, None, [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]),
        (1, 12.5, [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]),
    ],
)
def test_heat_follows_the_square(network, moving, drawn, tmp_path, stride, fps, read):
    network.clip_spec = dataclasses.replace(SPEC, frame_stride=stride, fps=fps)
    found = explain_video(network, moving, tmp_path / "out.mp4")
    network.clip_spec = SPEC
    assert found.class_name == "bright"
    hottest = [np.unravel_index(heat.argmax(), heat.shape) for heat in drawn]
    assert hottest == [(3, 1 + number // 2) for number in read]
    assert max(heat.max() for heat in drawn) == 1


def test_the_file_has_the_frames_and_a_strip_below(network, moving, tmp_path):
    explain_video(network, moving, tmp_path / "out.mp4", class_name="bright")
    frames = read_video(tmp_path / "out.mp4").frames
    assert frames.shape == (10, 32 + 24, 32, 3)
    positions = frames[:, 34, :].astype(int).sum(axis=-1).argmax(axis=-1)
    np.testing.assert_allclose(positions, 3.2 * np.arange(10), atol=2)


def test_heat_over_time_is_in_order_and_at_most_1(network, moving, tmp_path):
    found = explain_video(network, moving, tmp_path / "out.mp4")
    times, heat = found.over_time()
    assert len(found.windows) == 3  # frames 0 to 3, 4 to 7, and 6 to 9
    assert times.tolist() == sorted(times)
    np.testing.assert_allclose(times[:5], [0.02, 0.06, 0.1, 0.14, 0.18], atol=1e-6)
    assert heat.max() == 1


def test_a_video_that_is_its_own_output_is_refused(network, moving):
    with pytest.raises(ValueError, match="`out` must be another file"):
        explain_video(network, moving, moving)
    with pytest.raises(ValueError, match=r"`out`.*explained\.mp4"):
        explain_video(network, moving, "out.avi")


def test_the_command(network, moving, tmp_path, capsys):
    network.save(tmp_path / "m.keras")
    out = tmp_path / "out.mp4"
    words = ["explain", str(tmp_path / "m.keras"), str(moving), "--out", str(out)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"Wrote {out}: bright, most heat at 0:00\n"
    assert cli.main([*words, "--class", "brigth"]) == 1
    assert "--class must be a class of the model" in capsys.readouterr().err


def test_exports_are_refused_in_one_line(lite_path, moving, tmp_path, capsys):
    words = ["explain", str(lite_path), str(moving), "--out", str(tmp_path / "out.mp4")]
    assert cli.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be a .keras file, which holds the layers" in line


def test_values_are_stretched_between_the_middles_of_cells():
    np.testing.assert_allclose(stretch(np.array([0.0, 1.0]), [4]), [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(stretch(np.array([[2.0, 4.0]]), [2, 2]), [[2, 4], [2, 4]])
    assert stretch(np.zeros((2, 3, 4), np.float32), [5]).shape == (5, 3, 4)


def test_heat_covers_what_the_model_reads():
    clip_spec = ClipSpec(resize=32, crop=(16, 32))
    # A frame of 120 x 80 is resized to 48 x 32: rows 16 to 32 of it are read.
    assert read_rectangle(120, 80, clip_spec) == (40, 80, 0, 80)
    frame = np.full((120, 80, 3), 100, np.uint8)
    result = draw_heat(frame, np.ones((2, 2), np.float32), clip_spec)
    np.testing.assert_array_equal(result[:40], 100)
    np.testing.assert_array_equal(result[80:], 100)
    assert (result[40:80] != 100).all()
    np.testing.assert_array_equal(frame, 100)
    cold = draw_heat(frame, np.zeros((2, 2), np.float32), clip_spec)
    np.testing.assert_array_equal(cold, frame)


def test_the_strip_rises_with_the_heat_and_marks_the_time():
    strip = heat_strip(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1.0, 320, 100)
    assert strip.shape == (32, 100, 3)
    filled = (strip != (16, 20, 28)).any(axis=-1).sum(axis=0)
    assert (filled[0], filled[50], filled[-1]) == (0, 15, 30)
    result = with_strip(np.zeros((320, 100, 3), np.uint8), strip, 0.5)
    np.testing.assert_array_equal(result[320:, 50:52], 255)
    np.testing.assert_array_equal(result[320:, :50], strip[:, :50])

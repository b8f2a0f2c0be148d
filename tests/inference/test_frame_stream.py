"""Streams of frames, from memory and from files."""

import itertools
import pathlib
import runpy
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d import ClipSpec, models
from keras_t3d.clips import take_view
from keras_t3d.data import VideoReader
from keras_t3d.deploy import TFLiteOptions, export_tflite
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import (
    Stream,
    WindowOptions,
    load_predictor,
    stream_video,
    summarize_windows,
    watch_frames,
)
from keras_t3d.layers import ClipConv3D
from keras_t3d.streaming import StreamingError, StreamingForm, StreamOptions
from tests.battery import array, randomize
from tests.conftest import write_video

pytestmark = pytest.mark.export

SPEC = ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)


@pytest.fixture(scope="module")
def network():
    options = {"width": 0.1, "depth": 0.2, "causal": True, "clip_spec": SPEC}
    return randomize(models.T3DLite(SPEC.input_shape, 3, **options))


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "stream.tflite"
    export_tflite(network, path, options=TFLiteOptions(streaming=True))
    return path


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (16, 48, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(network, frames):
    return array(keras.ops.softmax(network(take_view(frames, SPEC)[None])))[0]


@pytest.fixture(scope="module")
def streams(network, file):
    return {"keras": Stream(network), "litert": Stream(file)}


@settings(max_examples=10, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(1, 15), max_size=4), name=st.sampled_from(["keras", "litert"]))
def test_frames_may_come_in_any_parts(cuts, name, streams, frames, expected):
    stream = streams[name]
    stream.reset()
    for first, last in itertools.pairwise([0, *sorted(cuts), 16]):
        answer = stream.push(frames[first:last])
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_frames_are_held_until_there_are_enough(streams, frames):
    stream = streams["keras"]
    stream.reset()
    assert stream.frames_per_step == 2
    assert [stream.push(frame) is None for frame in frames[:3]] == [True, True, False]
    first = stream.push(frames[3])
    assert [stream.push(frame) is first for frame in frames[4:7]] == [True, True, False]


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (np.zeros((2, 48, 64, 3), np.float32), "float32"),
        (np.zeros((48, 64), np.uint8), r"uint8 of shape \(48, 64\)"),
        (np.zeros((1, 24, 32, 3), np.uint8), "24 x 32"),
    ],
)
def test_other_frames_are_refused(wrong, received, streams, frames):
    stream = streams["keras"]
    stream.reset()
    stream.push(frames[0])
    with pytest.raises(InvalidArgumentError, match=f"`frames`.*Received: {received}"):
        stream.push(wrong)
    stream.reset()
    stream.push(np.zeros((24, 32, 3), np.uint8))  # another video


def test_models_that_do_not_stream(network, file, tmp_path):
    clips = models.T3DLite(SPEC.input_shape, 3, width=0.1, depth=0.2)
    with pytest.raises(StreamingError, match="is not causal"):
        Stream(clips)
    export_tflite(network, tmp_path / "clips.tflite")
    with pytest.raises(InvalidArgumentError, match="reads whole clips"):
        Stream(tmp_path / "clips.tflite")
    with pytest.raises(InvalidArgumentError, match="`options`"):
        Stream(file, StreamOptions(average_over="window"))


# Videos.


@pytest.fixture(scope="module")
def video(tmp_path_factory, frames):
    return write_video(tmp_path_factory.mktemp("video") / "film.mp4", frames)


def test_windows_of_a_video_are_steps(file, video):
    windows = list(stream_video(file, video))
    assert [window.first_frame for window in windows] == [0, 4, 8, 12]
    stream = Stream(file)
    with VideoReader(video) as reader:
        pixels = np.stack([frame.pixels for frame in reader.timed()])
    for window in windows:
        answer = stream.push(pixels[window.first_frame : window.first_frame + 4])
        np.testing.assert_allclose(window.probabilities, answer, atol=1e-6)


def test_watching_and_summaries_use_steps(file, video):
    with VideoReader(video) as reader:
        watched = list(watch_frames(file, reader))
    assert len({id(frame.prediction) for frame in watched if frame.prediction}) == 4
    seen = []
    with VideoReader(video) as reader:
        summary = summarize_windows(load_predictor(file), reader, seen.append)
    assert (summary.num_windows, summary.gap_seconds, len(seen)) == (4, 0.0, 4)


def test_a_causal_model_streams_over_as_many_steps_as_a_clip_has(network, video):
    windows = list(stream_video(network, video))
    assert [window.first_frame for window in windows] == [0, 4, 8, 12]
    stream = Stream(network, StreamOptions(average_over="window", average_steps=4))
    with VideoReader(video) as reader:
        answers = [stream.push(frame.pixels) for frame in reader.timed()]
    found = [window.probabilities for window in windows]
    np.testing.assert_allclose(found, answers[3::4], atol=1e-6)


def test_a_causal_model_is_traced_once_for_its_state(network, monkeypatch):
    traced = []
    specs = StreamingForm._specs
    monkeypatch.setattr(StreamingForm, "_specs", lambda *a: traced.append(a[1]) or specs(*a))
    assert load_predictor(network).streaming().frames_per_step == 2
    assert traced == [2]


@pytest.mark.parametrize("options", [{"hop": 0.08}, {"hop_frames": 2}, {"num_crops": 3}])
def test_a_causal_model_slides_a_window_that_is_asked_for(network, video, options):
    windows = list(stream_video(network, video, WindowOptions(**options)))
    assert [window.first_frame for window in windows] == [0]


def test_models_that_are_not_causal_slide_a_window(video):
    clips = models.T3DLite(SPEC.input_shape, 3, width=0.1, depth=0.2, clip_spec=SPEC)
    assert [window.first_frame for window in stream_video(clips, video)] == [0]
    inputs = keras.Input(SPEC.input_shape)  # one layer is causal, one not
    x = ClipConv3D(3, (3, 1, 1))(ClipConv3D(3, (3, 1, 1), causal=True)(inputs))
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling3D()(x))
    mixed = models.VideoClassifier(inputs, x, clip_spec=SPEC)
    assert [window.first_frame for window in stream_video(mixed, video)] == [0]


def test_the_example_that_needs_litert_alone(file, video, monkeypatch, capsys):
    example = pathlib.Path(__file__).parents[2] / "docs" / "examples" / "litert_stream.py"
    monkeypatch.setattr(sys, "argv", [example.name, str(file), str(video)])
    runpy.run_path(str(example))
    lines = capsys.readouterr().out.splitlines()
    windows = list(stream_video(file, video))
    for line, window in zip(lines, windows, strict=True):
        score = float(line.split()[2].rstrip("%")) / 100
        assert score == pytest.approx(window.probabilities.max(), abs=0.02)  # resized otherwise


@pytest.mark.parametrize("options", [{"hop": 0.5}, {"hop_frames": 2}, {"num_crops": 3}])
def test_windows_of_a_stream_have_no_place(file, video, options):
    (name,) = options
    with pytest.raises(InvalidArgumentError, match=f"`{name}`.*every 2 frames"):
        list(stream_video(file, video, WindowOptions(**options)))

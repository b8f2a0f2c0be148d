"""Windows of a video: frames, times, order and memory."""

import dataclasses
import functools
import tracemalloc

import numpy as np
import pytest

from keras_t3d.clips import take_view
from keras_t3d.data import VideoError, VideoReader, read_video
from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.inference import Exponential, MeanOfLast, WindowOptions, stream_video
from tests.conftest import SHARED_DATA, counting_frames, write_video
from tests.inference.conftest import RecordingPredictor, write_uneven_video

ODD = SHARED_DATA / "odd"


def test_windows_and_times(recording, tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(22), fps=10)
    windows = list(stream_video(recording, path))
    # Half a window apart, then one that ends with the video (on the stride's grid).
    assert recording.read == [[s, s + 2, s + 4, s + 6] for s in (0, 4, 8, 12, 14)]
    assert [window.first_frame for window in windows] == [0, 4, 8, 12, 14]
    np.testing.assert_allclose([w.start for w in windows], [0, 0.4, 0.8, 1.2, 1.4])
    np.testing.assert_allclose([w.end for w in windows], [0.7, 1.1, 1.5, 1.9, 2.1])
    assert all(window.probabilities.tolist() == [0.75, 0.25, 0] for window in windows)


def test_hops(recording, tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(16), fps=10)
    assert [
        w.first_frame for w in stream_video(recording, path, WindowOptions(hop_frames=1))
    ] == list(range(10))
    assert [w.first_frame for w in stream_video(recording, path, WindowOptions(hop_frames=9))] == [
        0,
        9,
    ]
    assert [w.first_frame for w in stream_video(recording, path, WindowOptions(hop=0.4))] == [
        0,
        4,
        8,
    ]


def test_times_of_variable_frame_rates(recording, tmp_path):
    times = np.cumsum([0.0, *[0.04, 0.2, 1.0] * 5])
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(16), times.tolist())
    windows = list(stream_video(recording, path, WindowOptions(hop_frames=4)))
    assert recording.read == [[s, s + 2, s + 4, s + 6] for s in (0, 4, 8)]
    np.testing.assert_allclose([w.start for w in windows], times[[0, 4, 8]], atol=1e-3)
    np.testing.assert_allclose([w.end for w in windows], times[[7, 11, 15]], atol=1e-3)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0, 0, 0, 0]), (5, [0, 2, 4, 1]), (7, [0, 2, 4, 6])]
)
def test_a_short_video_is_one_window(recording, tmp_path, count, expected):
    path = write_video(tmp_path / "x.mp4", counting_frames(count), fps=10)
    (window,) = stream_video(recording, path)
    assert recording.read == [expected]
    assert (window.start, window.end) == (0, pytest.approx(count / 10))


def test_windows_match_views_of_the_video(model, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8)
    path = write_video(tmp_path / "noise.mp4", frames)
    decoded, spec = read_video(path).frames, model.clip_spec
    windows = list(stream_video(model, path, WindowOptions(hop_frames=8)))
    clips = np.stack([take_view(decoded, spec, window.first_frame) for window in windows])
    logits = np.asarray(model(clips), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([w.probabilities for w in windows], expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_size_does_not_change_predictions(recording, tmp_path, batch_size):
    path = write_video(tmp_path / "x.mp4", counting_frames(22))
    windows = list(
        stream_video(recording, path, WindowOptions(hop_frames=3, batch_size=batch_size))
    )
    assert [window.first_frame for window in windows] == [0, 3, 6, 9, 12, 15]
    assert [window.probabilities[1] for window in windows] == [0.25, 0.75] * 3
    assert recording.batches == {1: [1] * 6, 3: [3, 3], 100: [6]}[batch_size]


def test_crops_are_averaged(recording, tmp_path):
    frames = np.zeros((7, 36, 72, 3), np.uint8)
    frames[:, :, :24] = 60  # brighter to the left
    path = write_video(tmp_path / "x.mp4", frames)
    means = []

    def probabilities(clips):
        means.extend(clips.mean(axis=(1, 2, 3, 4)))
        return np.eye(3, dtype=np.float32)[: len(clips)]

    recording.probabilities = probabilities
    (window,) = stream_video(recording, path, WindowOptions(num_crops=3))
    np.testing.assert_allclose(window.probabilities, [1 / 3] * 3, atol=1e-6)
    assert means[0] > 40 > means[1] > 1 > means[2]
    with pytest.raises(ValueError, match="num_crops"):
        stream_video(recording, path, WindowOptions(num_crops=2))


def test_smoothing(recording, tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(16))
    odd = [w.probabilities[1] for w in stream_video(recording, path, WindowOptions(hop_frames=3))]
    assert odd == [0.25, 0.75, 0.25, 0.75]
    mean = [
        w.probabilities[1]
        for w in stream_video(recording, path, WindowOptions(hop_frames=3, smoothing=MeanOfLast(2)))
    ]
    assert mean == [0.25, 0.5, 0.5, 0.5]
    rule = Exponential(0.5)
    for _ in range(2):  # a rule keeps no state between videos
        weighed = [
            w.probabilities[1]
            for w in stream_video(recording, path, WindowOptions(hop_frames=3, smoothing=rule))
        ]
        assert weighed == [0.25, 0.5, 0.375, 0.5625]


def test_frames_are_decoded_once_and_windows_yielded_at_once(recording, tmp_path, monkeypatch):
    path = write_video(tmp_path / "x.mp4", counting_frames(30))
    decoded = []
    whole = VideoReader._decoded

    def counted(reader):
        for time, frame in whole(reader):
            decoded.append(len(decoded))
            yield time, frame

    monkeypatch.setattr(VideoReader, "_decoded", counted)
    stream = stream_video(recording, path, WindowOptions(hop_frames=2))
    assert decoded == []
    next(stream)
    assert decoded == list(range(8))  # a window of 7, and the frame that ends it
    list(stream)
    assert decoded == list(range(30))


class LongVideo(VideoReader):
    """A video of any length that needs no decoding."""

    def __init__(self, count):
        self.count_of_frames = count

    def timed(self):
        for index in range(self.count_of_frames):
            pixels = functools.partial(np.full, (120, 120, 3), index % 50, np.uint8)
            yield TimedFrame(index / 25, (index + 1) / 25, pixels)


def test_memory_does_not_grow_with_the_video(recording):
    recording.clip_spec = dataclasses.replace(recording.clip_spec, resize=120, crop=120)
    recording.probabilities = lambda clips: np.zeros((len(clips), 3), np.float32)

    def peak(count):
        tracemalloc.start()
        windows = sum(
            1
            for _ in stream_video(
                recording, LongVideo(count), WindowOptions(hop_frames=14, batch_size=2)
            )
        )
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return windows, most

    peak(100)  # fills caches
    short_windows, short = peak(100)
    long_windows, long = peak(2000)
    assert (short_windows, long_windows) == (8, 144)
    assert long < 1.2 * short
    assert long < 50 * 120 * 120 * 3  # bytes: far from 2000 frames


def test_an_open_reader_reports_damage(recording, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", noise, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(cut) as reader:
        windows = list(stream_video(recording, reader))
        assert len(windows) > 2
        assert "header says 60 frames" in reader.damage


def test_another_file_is_rejected(recording, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    stream = stream_video(recording, tmp_path / "text.mp4")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        next(stream)


@pytest.mark.skipif(not ODD.is_dir(), reason=f"needs the shared videos in {ODD}")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("made/vfr.mp4", 40),
        ("made/one_frame.mp4", 1),
        ("made/two_frames.mp4", 2),
        ("made/anim.gif", 12),
        ("made/fps1.mp4", 8),
        ("made/truncated_half.avi", 22),
        ("made/truncated_half_faststart.mp4", 18),
        ("made/tall_64x1080.mp4", 5),
        ("decord/test_data_unordered.mov", 4),
        ("decord/test_data_video_90.mov", 3),
        ("torchcodec/h265_video.mp4", 10),
    ],
)
def test_unusual_files(recording, name, count):
    spec = recording.clip_spec
    windows = list(
        stream_video(RecordingPredictor(dataclasses.replace(spec, resize=32)), ODD / name)
    )
    assert windows[0].first_frame == 0
    assert windows[-1].first_frame == max(count - spec.span, 0) // 2 * 2
    assert all(window.end > window.start for window in windows)

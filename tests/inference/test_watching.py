"""Annotated frames: the classes drawn on each, and the file at the end."""

import itertools
import subprocess
import sys
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from keras_t3d.data import VideoError, VideoReader, read_video
from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.fonts import FontWarning
from keras_t3d.inference import MeanOfLast, WindowOptions, stream_video, watch, watch_frames
from keras_t3d.inference.overlay import draw_classes, to_square_pixels
from tests.conftest import SHARED_DATA, counting_frames, write_video
from tests.inference.conftest import write_uneven_video

ODD = SHARED_DATA / "odd"


class Source:
    """Frames that need no file; `failure` is raised after them."""

    def __init__(self, count, failure=None, size=(96, 128)):
        self.frames = counting_frames(count, *size)
        self.failure = failure

    def timed(self):
        for index, pixels in enumerate(self.frames):
            yield TimedFrame(index / 10, (index + 1) / 10, lambda pixels=pixels: pixels)
        if self.failure:
            raise self.failure


def test_each_frame_has_the_prediction_of_the_latest_window(recording):
    frames = list(watch_frames(recording, Source(22), options=WindowOptions(hop=0.4), top=2))
    assert [(frame.start, frame.end) for frame in frames] == [
        (i / 10, (i + 1) / 10) for i in range(22)
    ]
    # Windows of 7 frames, and one that ends with the video.
    assert recording.read == [[s, s + 2, s + 4, s + 6] for s in (0, 4, 8, 12, 14)]
    # Nothing is said of fewer frames than a window has.
    assert [frame.prediction for frame in frames[:6]] == [None] * 6
    assert [frame.classes for frame in frames[:6]] == [()] * 6
    ends = [0.7] * 4 + [1.1] * 4 + [1.5] * 4 + [1.9] * 3 + [2.1]
    np.testing.assert_allclose([frame.prediction.end for frame in frames[6:]], ends)
    assert frames[-1].classes == (("even", 0.75), ("odd", 0.25))


def test_characters_that_no_font_has_are_named_once(recording, monkeypatch):
    monkeypatch.setattr("keras_t3d.fonts._candidates", lambda: ())
    monkeypatch.setattr(recording, "class_names", ("走る", "odd", "never"), raising=False)
    with pytest.warns(FontWarning, match="the characters る 走, so") as warned:
        frames = list(watch_frames(recording, Source(22), options=WindowOptions(hop=0.4)))
    assert len(frames) == 22
    assert len(warned) == 1


@pytest.mark.parametrize("count", [1, 5, 6, 7, 8, 14, 22])
@pytest.mark.parametrize(
    "options", [WindowOptions(), WindowOptions(hop=0.3, smoothing=MeanOfLast(2))]
)
def test_the_windows_are_those_of_stream_video(recording, tmp_path, count, options):
    path = write_video(tmp_path / "x.mp4", counting_frames(count), fps=10)
    expected = list(stream_video(recording, path, options))
    told = []
    with VideoReader(path) as reader:
        assert (
            watch(watch_frames(recording, reader, options=options), on_prediction=told.append)
            == count
        )
    got = [frame.prediction for frame in told]
    assert [(s.first_frame, s.start, s.end) for s in got] == [
        (s.first_frame, s.start, s.end) for s in expected
    ]
    np.testing.assert_array_equal(
        np.stack([s.probabilities for s in got]), np.stack([s.probabilities for s in expected])
    )


@pytest.mark.parametrize("failure", [None, VideoError("The camera stopped")])
def test_a_short_video_is_predicted_at_its_end(recording, failure):
    told = []
    frames = watch_frames(recording, Source(5, failure))
    if failure:
        with pytest.raises(VideoError, match="stopped"):
            told.extend(frames)  # grows until it fails
    else:
        told.extend(frames)
    assert [frame.prediction is None for frame in told] == [True] * 4 + [False]
    assert recording.read == [[0, 2, 4, 1]]  # the whole, looped
    assert (told[-1].prediction.start, told[-1].prediction.end) == (0, 0.5)


def test_classes_are_drawn():
    grey = np.full((240, 320, 3), 100, np.uint8)
    none, golf = draw_classes(grey, ()), draw_classes(grey, (("golf", 0.9), ("pour", 0.1)))
    more = draw_classes(grey, (("golf", 0.9), ("pour", 0.1), ("a class with a long name", 0.0)))
    assert (grey == 100).all()
    assert golf.shape == grey.shape
    assert golf.dtype == np.uint8
    panels = [
        np.argwhere((picture != 100).any(axis=-1)).max(axis=0) for picture in (none, golf, more)
    ]
    assert panels[0][0] < panels[1][0] < panels[2][0] < 120  # a row a class
    assert panels[0][1] < panels[1][1] < panels[2][1] < 320
    assert (golf.max(axis=(0, 1)) == 255).all()  # white letters
    assert (golf[120:] == 100).all()
    blue = (golf[..., 2].astype(int) - golf[..., 0] > 150).sum(axis=1)
    strong, weak = sorted(blue[blue > 0], reverse=True)[0], sorted(blue[blue > 0])[0]
    assert strong == pytest.approx(9 * weak, rel=0.15)  # bars as long as the probability


@pytest.mark.parametrize("size", [(16, 16), (17, 300), (1, 1), (1080, 64)])
def test_small_frames(size):
    picture = np.zeros((*size, 3), np.uint8)
    assert (
        draw_classes(picture, (("a long name\nin two lines", 1.0), ("", 0.0))).shape
        == picture.shape
    )


def test_the_file_has_frames_times_and_text(recording, tmp_path):
    times = np.cumsum([0.0, *[0.04, 0.2, 0.5] * 5])
    path = write_uneven_video(
        tmp_path / "x.mp4",
        counting_frames(16, 121, 161)[:, :120, :160] // 2,
        times.tolist(),
        sound=True,
    )
    out = tmp_path / "new" / "annotated.mp4"
    told = []
    with VideoReader(path) as reader:
        assert watch(watch_frames(recording, reader), out=out, on_prediction=told.append) == 16
    with VideoReader(path) as source, VideoReader(out) as written:
        assert not written.header.has_sound
        before, after = list(source.timed()), list(written.timed())
    np.testing.assert_allclose([f.start for f in after], [f.start for f in before], atol=1e-4)
    np.testing.assert_allclose([f.end for f in after], [f.end for f in before], atol=1e-4)
    for original, annotated in zip(before, after, strict=True):
        assert annotated.pixels[:60, :100].max() > 200  # letters, in a video without white
        difference = annotated.pixels[100:].astype(int) - original.pixels[100:]
        assert np.abs(difference).mean() < 3
    assert [round(frame.prediction.end, 3) for frame in told] == sorted(
        {round(f.prediction.end, 3) for f in told}
    )
    assert [path.name for path in out.parent.iterdir()] == ["annotated.mp4"]


@pytest.mark.parametrize(("count", "size"), [(1, (48, 64)), (2, (17, 35)), (3, (16, 16))])
def test_short_videos_and_odd_sizes_are_written(recording, tmp_path, count, size):
    out = tmp_path / "out.mp4"
    assert watch(watch_frames(recording, Source(count, size=size)), out=out) == count
    frames = read_video(out).frames
    assert frames.shape == (count, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)


@pytest.mark.parametrize("failure", [VideoError("The camera stopped"), RuntimeError("no memory")])
def test_a_late_error_leaves_a_playable_file(recording, tmp_path, failure):
    with pytest.raises(type(failure), match=str(failure)):
        watch(watch_frames(recording, Source(10, failure)), out=tmp_path / "out.mp4")
    assert len(read_video(tmp_path / "out.mp4").frames) == 10


def test_an_error_of_on_prediction_leaves_a_playable_file(recording, tmp_path):
    def tell(frame):
        if frame.start > 1:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        watch(watch_frames(recording, Source(22)), out=tmp_path / "out.mp4", on_prediction=tell)
    assert 7 <= len(read_video(tmp_path / "out.mp4").frames) < 22


@pytest.mark.parametrize("failure", [VideoError("no frame"), RuntimeError("no memory")])
def test_an_early_error_leaves_no_file(recording, tmp_path, failure):
    with pytest.raises(type(failure), match=str(failure)):
        watch(watch_frames(recording, Source(0, failure)), out=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_replaced_at_the_end(recording, tmp_path):
    (tmp_path / "out.mp4").write_text("old")

    def check(frame):
        assert (tmp_path / "out.mp4").read_text() == "old"

    watch(watch_frames(recording, Source(9)), out=tmp_path / "out.mp4", on_prediction=check)
    assert len(read_video(tmp_path / "out.mp4").frames) == 9


@pytest.mark.parametrize("name", ["out.avi", "out", "folder.mp4"])
def test_other_files_are_rejected(recording, tmp_path, name):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match=r"\.mp4.*Received"):
        watch(watch_frames(recording, Source(9)), out=tmp_path / name)


def test_should_stop_ends_with_a_complete_file(recording, tmp_path):
    count = 0

    def should_stop():
        nonlocal count
        count += 1
        return count == 5

    assert (
        watch(
            watch_frames(recording, Source(22)), out=tmp_path / "out.mp4", should_stop=should_stop
        )
        == 5
    )
    assert len(read_video(tmp_path / "out.mp4").frames) == 5


# Live sources: the model must not delay the frames.


def test_live_frames_do_not_wait_for_the_model(recording):
    go, quick = threading.Event(), recording.probabilities

    def slow(clips):
        assert go.wait(timeout=10)
        return quick(clips)

    recording.probabilities = slow
    frames = watch_frames(recording, Source(22), live=True)
    shown = list(itertools.islice(frames, 21))
    assert [frame.start for frame in shown] == [i / 10 for i in range(21)]
    assert all(frame.prediction is None for frame in shown)
    go.set()
    frames.close()
    assert recording.read == [[0, 2, 4, 6]]  # the first window; others were left out


@pytest.mark.parametrize(("live", "ahead"), [(True, 0), (False, 1)])
def test_live_frames_are_not_delayed_by_one(recording, live, ahead):
    source, taken = Source(22), []

    class Counting:
        def timed(self):
            for frame in source.timed():
                taken.append(frame)
                yield frame

    frames = watch_frames(recording, Counting(), live=live)
    for shown in range(1, 6):
        next(frames)
        assert len(taken) == shown + ahead
    frames.close()


def test_an_error_in_the_background_is_raised_and_the_file_kept(recording, tmp_path):
    go, count = threading.Event(), 0

    def fails(clips):
        assert go.wait(timeout=10)
        raise RuntimeError("out of memory")

    def should_stop():
        nonlocal count
        count += 1
        if count == 10:
            go.set()
        return count == 10

    recording.probabilities = fails
    frames = watch_frames(recording, Source(22), live=True)
    with pytest.raises(RuntimeError, match="out of memory"):
        watch(frames, out=tmp_path / "out.mp4", should_stop=should_stop)
    assert len(read_video(tmp_path / "out.mp4").frames) == 10


# Anamorphic video: its pixels are wider than high.


def test_anamorphic_frames_are_stretched_before_drawing(recording, tmp_path):
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for pixels in counting_frames(9, 120, 160):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        assert next(reader.timed()).pixels.shape == (120, 160, 3)  # what the model sees
    with VideoReader(path) as reader:
        frames = list(watch_frames(recording, reader))
    assert {frame.pixels.shape for frame in frames} == {(120, 240, 3)}
    square = np.full((120, 240, 3), frames[0].pixels[-1, -1])
    np.testing.assert_array_equal(frames[0].pixels, draw_classes(square, ()))  # letters as ever
    with VideoReader(path) as reader:
        watch(watch_frames(recording, reader), out=tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        written = container.streams.video[0]
        assert (written.width, written.height) == (240, 120)
        assert written.sample_aspect_ratio in (None, 0, 1)


def test_stretching_never_shrinks_a_side():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert to_square_pixels(pixels, 1.0) is pixels
    assert to_square_pixels(pixels, 1.5).shape == (2, 3, 3)
    assert to_square_pixels(pixels, 0.5).shape == (4, 2, 3)


@pytest.mark.process
def test_inference_needs_no_opencv():
    code = (
        "import sys; import keras_t3d.inference as i; "
        "[getattr(i, name) for name in i.__all__]; "
        "assert not {'cv2', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not ODD.is_dir(), reason=f"needs the shared videos in {ODD}")
@pytest.mark.parametrize(
    ("name", "count"),
    [("made/vfr.mp4", 40), ("decord/test_data_video_90.mov", 3), ("made/anim.gif", 12)],
)
def test_unusual_files_keep_their_times(recording, tmp_path, name, count):
    with VideoReader(ODD / name) as reader:
        assert watch(watch_frames(recording, reader), out=tmp_path / "out.mp4") == count
    with VideoReader(ODD / name) as source, VideoReader(tmp_path / "out.mp4") as written:
        before, after = list(source.timed()), list(written.timed())
    np.testing.assert_allclose([f.start for f in after], [f.start for f in before], atol=1e-4)
    assert after[0].pixels.shape == before[0].pixels.shape  # upright

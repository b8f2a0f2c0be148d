"""Pictures with the running classes: on the screen, in a file, from a camera."""

import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import av
import numpy as np
import pytest

from keras_t3d.data import VideoError, VideoReader, read_video
from keras_t3d.data.video import TimedFrame
from keras_t3d.inference import Camera, MeanOfLast, watch, watch_frames
from keras_t3d.inference import camera as camera_room
from keras_t3d.inference.annotated_video import annotated_video
from keras_t3d.inference.caption import captioned
from keras_t3d.inference.running_scores import NewestWindow
from keras_t3d.inference.screen import Screen, ScreenError
from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.watching import stopped_by_signals
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


def test_each_frame_has_the_scores_of_the_newest_window(seeing):
    frames = list(watch_frames(seeing, Source(22), hop_seconds=0.4, top=2))
    assert [(frame.start, frame.end) for frame in frames] == [
        (i / 10, (i + 1) / 10) for i in range(22)
    ]
    # At first the frames so far, looped; windows of 7 frames from the 7th frame on.
    assert seeing.seen == [
        [0, 0, 0, 0],
        [0, 2, 4, 1],
        *[[s, s + 2, s + 4, s + 6] for s in (0, 4, 8, 12)],
    ]
    ends = [0.1] * 4 + [0.5] * 2 + [0.7] * 4 + [1.1] * 4 + [1.5] * 4 + [1.9] * 4
    np.testing.assert_allclose([frame.scores.end for frame in frames], ends)
    assert frames[-1].classes == (("even", 0.75), ("odd", 0.25))


def test_scores_can_be_smoothed_but_not_with_the_opening(seeing):
    seeing.probabilities = lambda clips: np.array([[clips[0, 0].mean() / 5, 0, 0]], np.float32)
    frames = list(watch_frames(seeing, Source(22), hop_seconds=0.4, smoothing=MeanOfLast(2)))
    assert [round(frames[i].scores.probabilities[0], 3) for i in (6, 10, 14, 18)] == [0, 2, 6, 10]


def test_the_picture_says_the_classes():
    grey = np.full((240, 320, 3), 100, np.uint8)
    none, golf = captioned(grey, ()), captioned(grey, (("golf", 0.9), ("pour", 0.1)))
    more = captioned(grey, (("golf", 0.9), ("pour", 0.1), ("a class with a long name", 0.0)))
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
def test_small_pictures_are_no_reason_to_fail(size):
    picture = np.zeros((*size, 3), np.uint8)
    assert (
        captioned(picture, (("a long name\nin two lines", 1.0), ("", 0.0))).shape == picture.shape
    )


def test_the_file_has_the_frames_the_times_and_the_text(seeing, tmp_path):
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
        assert watch(watch_frames(seeing, reader), out=out, tell=told.append) == 16
    with VideoReader(path) as source, VideoReader(out) as written:
        assert not written.has_sound
        before, after = list(source.timed()), list(written.timed())
    np.testing.assert_allclose([f.start for f in after], [f.start for f in before], atol=1e-4)
    np.testing.assert_allclose([f.end for f in after], [f.end for f in before], atol=1e-4)
    for original, annotated in zip(before, after, strict=True):
        assert annotated.pixels[:60, :100].max() > 200  # letters, in a video without white
        difference = annotated.pixels[100:].astype(int) - original.pixels[100:]
        assert np.abs(difference).mean() < 3
    assert [round(frame.scores.end, 3) for frame in told] == sorted(
        {round(f.scores.end, 3) for f in told}
    )
    assert [path.name for path in out.parent.iterdir()] == ["annotated.mp4"]


@pytest.mark.parametrize(("count", "size"), [(1, (48, 64)), (2, (17, 35)), (3, (16, 16))])
def test_short_and_odd_pictures_are_written(seeing, tmp_path, count, size):
    out = tmp_path / "out.mp4"
    assert watch(watch_frames(seeing, Source(count, size=size)), out=out) == count
    frames = read_video(out).frames
    assert frames.shape == (count, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)


def test_pictures_at_the_same_time_are_all_written(tmp_path):
    out = tmp_path / "out.mp4"
    with annotated_video(out) as file:
        for start, end in ((0, 0), (0, 0), (0, 0.5), (0.5, 0.6)):
            file.write(np.zeros((16, 16, 3), np.uint8), start, end)
    with VideoReader(out) as reader:
        assert [round(frame.start, 2) for frame in reader.timed()] == [0, 0, 0, 0.5]


def test_a_camera_that_is_pulled_out_leaves_a_playable_file(seeing, tmp_path):
    source = Source(10, failure=VideoError("The camera stopped"))
    with pytest.raises(VideoError, match="stopped"):
        watch(watch_frames(seeing, source), out=tmp_path / "out.mp4")
    assert len(read_video(tmp_path / "out.mp4").frames) == 10


def test_other_failures_leave_nothing(seeing, tmp_path):
    for count, failure in ((0, VideoError("no frame")), (10, RuntimeError("a defect"))):
        with pytest.raises(type(failure), match=str(failure)):
            watch(watch_frames(seeing, Source(count, failure)), out=tmp_path / "out.mp4")
        assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(seeing, tmp_path):
    (tmp_path / "out.mp4").write_text("old")

    def check(frame):
        assert (tmp_path / "out.mp4").read_text() == "old"

    watch(watch_frames(seeing, Source(9)), out=tmp_path / "out.mp4", tell=check)
    assert len(read_video(tmp_path / "out.mp4").frames) == 9


@pytest.mark.parametrize("name", ["out.avi", "out", "folder.mp4"])
def test_other_files_are_refused(seeing, tmp_path, name):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match=r"annotated\.mp4"):
        watch(watch_frames(seeing, Source(9)), out=tmp_path / name)


def test_a_file_that_cannot_be_written_says_so(seeing, tmp_path, monkeypatch):
    def full(*arguments):
        raise av.error.OSError(28, "No space left on device")

    monkeypatch.setattr("keras_t3d.inference.annotated_video.AnnotatedVideo._mux", full)
    with pytest.raises(OSError, match=r"No space left.*out\.mp4"):
        watch(watch_frames(seeing, Source(9)), out=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_watching_ends_when_asked_and_the_file_is_whole(seeing, tmp_path):
    count = 0

    def stopped():
        nonlocal count
        count += 1
        return count == 5

    assert watch(watch_frames(seeing, Source(22)), out=tmp_path / "out.mp4", stopped=stopped) == 5
    assert len(read_video(tmp_path / "out.mp4").frames) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
def test_signals_ask_to_stop_and_the_second_insists():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_are_left_alone_in_other_threads():
    seen = []

    def work():
        with stopped_by_signals() as stopped:
            seen.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


# Live: the model must not hold the pictures up.


def window(number):
    return Window(number, 0.0, 1.0, True, np.full((1, 2, 2, 2, 3), number, np.uint8))


def test_a_slow_model_leaves_windows_out():
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def probabilities(clips):
        begun.release()
        assert go.acquire(timeout=20)
        return np.full((1, 1), clips[0, 0, 0, 0, 0], np.float32)

    scores = NewestWindow(SimpleNamespace(probabilities=probabilities))
    scores.offer(window(1))
    assert begun.acquire(timeout=20)
    scores.offer(window(2))  # left out: the first is still being scored
    assert scores.newest() is None
    go.release()
    scores._running.result(20)
    assert scores.newest().probabilities == [1]
    scores.offer(window(3))
    go.release()
    scores._running.result(20)
    assert scores.newest().first_frame == 3
    scores.close()


def test_a_model_that_fails_in_the_background_is_heard_of(seeing):
    def probabilities(clips):
        raise RuntimeError("out of memory")

    seeing.probabilities = probabilities
    scores = NewestWindow(seeing)
    scores.offer(window(1))
    scores.close()
    with pytest.raises(RuntimeError, match="out of memory"):
        scores.newest()


def test_live_frames_all_come(seeing):
    frames = list(watch_frames(seeing, Source(22), live=True))
    assert [frame.start for frame in frames] == [i / 10 for i in range(22)]
    assert seeing.seen[0] == [0, 0, 0, 0]


def test_a_camera_gives_frames_with_times_from_the_first_on(seeing, tmp_path, monkeypatch):
    file = write_video(tmp_path / "camera.mp4", counting_frames(9), fps=10)
    opened = av.open

    def device(name, format, options):
        assert (name, format) in {("/dev/video3", "v4l2"), ("3", "avfoundation")}
        return opened(str(file))

    monkeypatch.setattr(camera_room.av, "open", device)
    for system in ("Linux", "Darwin"):
        monkeypatch.setattr(camera_room.platform, "system", lambda system=system: system)
        with Camera(3) as camera:
            frames = list(watch_frames(seeing, camera))
        np.testing.assert_allclose([frame.start for frame in frames], np.arange(9) / 10)
    monkeypatch.setattr(camera_room.platform, "system", lambda: "Windows")
    with pytest.raises(VideoError, match="Linux and macOS"):
        Camera(3)


def test_a_camera_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setattr(camera_room.platform, "system", lambda: "Linux")
    with pytest.raises(VideoError, match=r"/dev/video97.*--camera 0"):
        Camera(97)


# The screen, with what OpenCV would do.


class FakeOpenCV(SimpleNamespace):
    WINDOW_AUTOSIZE, WND_PROP_VISIBLE = 1, 4

    class error(Exception):  # noqa: N801, N818, as OpenCV calls it
        pass

    def __init__(self, keys=(), closed_after=99):
        super().__init__(keys=list(keys), closed_after=closed_after, shown=[], waits=[], titles=[])

    def namedWindow(self, title, kind):
        self.titles.append(title)

    def waitKey(self, milliseconds):
        self.waits.append(milliseconds)
        return self.keys.pop(0) if self.keys else -1

    def imshow(self, title, picture):
        self.shown.append(picture.copy())

    def getWindowProperty(self, title, which):
        return 1.0 if len(self.shown) < self.closed_after else 0.0

    def destroyAllWindows(self):
        self.titles.clear()


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")

    def with_opencv(opencv):
        monkeypatch.setitem(sys.modules, "cv2", opencv)
        return opencv

    return with_opencv


def test_pictures_are_shown_in_their_colours_at_their_times(display, monkeypatch):
    opencv = display(FakeOpenCV())
    clock = iter([100.0, 100.01, 100.5, 100.5])
    monkeypatch.setattr("keras_t3d.inference.screen.time.monotonic", lambda: next(clock))
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    with Screen("x.mp4") as screen:
        assert opencv.titles == ["x.mp4"]
        assert all(screen.show(red, start) for start in (0.0, 0.1, 0.2, 0.3))
    # At once; in time; late, so at once; 0.1 s after the late one.
    assert opencv.waits[::2] == [1, 90, 1, 100]
    assert opencv.shown[0][0, 0].tolist() == [0, 0, 255]
    assert opencv.titles == []


@pytest.mark.parametrize("opencv", [FakeOpenCV([-1, -1, ord("q")]), FakeOpenCV(closed_after=1)])
def test_the_user_ends_it(seeing, display, opencv):
    display(opencv)
    with Screen("x") as screen:
        assert watch(watch_frames(seeing, Source(22)), screen=screen) < 3


def test_what_is_missing_for_a_window_is_said(display, monkeypatch):
    monkeypatch.setattr("keras_t3d.inference.screen.platform.system", lambda: "Linux")
    display(None)  # importing it fails
    with pytest.raises(ScreenError, match=r"pip install 'keras-t3d\[watch\]'"):
        Screen("x")
    monkeypatch.delitem(sys.modules, "cv2")  # PyAV is loaded: OpenCV would hang
    with pytest.raises(ScreenError, match="before PyAV"):
        Screen("x")
    headless = display(FakeOpenCV())

    def fail(title, kind):
        raise FakeOpenCV.error

    headless.namedWindow = fail
    with pytest.raises(ScreenError, match="headless"):
        Screen("x")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ScreenError, match="No screen"):
        Screen("x")


def test_inference_needs_no_opencv():
    code = (
        "import sys; import keras_t3d.inference as i; "
        "[getattr(i, name) for name in i.__all__]; "
        "assert not {'cv2', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not ODD.is_dir(), reason="the shared odd videos are not here")
@pytest.mark.parametrize(
    ("name", "count"),
    [("made/vfr.mp4", 40), ("decord/test_data_video_90.mov", 3), ("made/anim.gif", 12)],
)
def test_odd_files_keep_their_times(seeing, tmp_path, name, count):
    with VideoReader(ODD / name) as reader:
        assert watch(watch_frames(seeing, reader), out=tmp_path / "out.mp4") == count
    with VideoReader(ODD / name) as source, VideoReader(tmp_path / "out.mp4") as written:
        before, after = list(source.timed()), list(written.timed())
    np.testing.assert_allclose([f.start for f in after], [f.start for f in before], atol=1e-4)
    assert after[0].pixels.shape == before[0].pixels.shape  # upright

"""The window on the screen, with a fake OpenCV."""

import sys

import numpy as np
import pytest

from keras_t3d.inference.screen import Screen, ScreenError
from tests.inference.fake_opencv import FakeOpenCV


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")

    def with_opencv(opencv):
        monkeypatch.setitem(sys.modules, "cv2", opencv)
        return opencv

    return with_opencv


@pytest.fixture
def clock(monkeypatch):
    """Sets the times that the screen sees, in order."""

    def set_times(*times):
        left = iter(times)
        monkeypatch.setattr("keras_t3d.inference.screen.time.monotonic", lambda: next(left))

    return set_times


def picture(height=4, width=4):
    return np.zeros((height, width, 3), np.uint8)


def test_frames_are_shown_in_colour_at_their_times(display, clock):
    opencv = display(FakeOpenCV())
    clock(100.0, 100.01, 100.5, 100.5)
    red = picture()
    red[..., 0] = 255
    with Screen("x.mp4") as screen:
        assert opencv.window == "x.mp4"
        assert all(screen.show(red, start) for start in (0.0, 0.1, 0.2, 0.3))
    # At once; in time; late, so at once; 0.1 s after the late one. 1 draws.
    assert opencv.waits == [1, 90, 1, 1, 100, 1]
    assert opencv.shown[0][0, 0].tolist() == [0, 0, 255]
    assert opencv.window is None


def test_live_frames_are_shown_at_once(display, clock):
    opencv = display(FakeOpenCV())
    clock()  # it is not read
    with Screen("camera 0", live=True) as screen:
        assert all(screen.show(picture(), start) for start in (0.0, 0.1, 0.2, 0.3))
    assert opencv.waits == [1, 1, 1, 1]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("keys", [[ord("q")], [27], [ord("Q"), -1, ord("q")], [-1, -1, 27]])
def test_a_key_ends_it_at_any_time(display, keys, live):
    display(FakeOpenCV(keys))
    with Screen("x", live) as screen:
        for index in range(len(keys) + 1):
            if not screen.show(picture(), index / 100):
                return
    pytest.fail("the key was ignored")


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("closed_after", [1, 3])
def test_closing_the_window_ends_it(display, closed_after, live):
    opencv = display(FakeOpenCV(closed_after=closed_after))
    with Screen("x", live) as screen:
        assert [screen.show(picture(), index / 100) for index in range(closed_after + 1)] == [
            *[True] * closed_after,
            False,
        ]
    assert opencv.opened == ["x"]
    assert len(opencv.shown) == closed_after


def test_a_window_closed_before_the_first_frame_stays_closed(display):
    opencv = display(FakeOpenCV())
    with Screen("x") as screen:
        opencv.window = None
        assert not screen.show(picture(), 0.0)
    assert opencv.opened == ["x"]


@pytest.mark.parametrize(
    ("picture_size", "window"),
    [
        ((240, 320), (320, 240)),
        ((2160, 3840), (1280, 720)),
        ((1920, 1080), (405, 720)),
        ((1, 5000), (1280, 1)),
    ],
)
def test_the_window_fits_a_screen(display, picture_size, window):
    opencv = display(FakeOpenCV())
    with Screen("x") as screen:
        screen.show(picture(*picture_size), 0.0)
        assert opencv.size == window
        opencv.size = (1, 1)  # the user makes it smaller
        screen.show(picture(*picture_size), 0.0)
        assert opencv.size == (1, 1)


def test_other_windows_stay_open(display):
    opencv = display(FakeOpenCV())
    opencv.destroyAllWindows = lambda: pytest.fail("closed another window")
    with Screen("x"):
        pass
    assert opencv.window is None


def test_errors_name_the_remedy(display, monkeypatch):
    monkeypatch.setattr("keras_t3d.inference.screen.platform.system", lambda: "Linux")
    display(None)  # importing it fails
    with pytest.raises(ScreenError, match=r"pip install 'keras-t3d\[watch\]'"):
        Screen("x")
    monkeypatch.setitem(sys.modules, "av", None)
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

"""Cameras, simulated by files."""

import itertools
import threading

import av
import numpy as np
import pytest

from keras_t3d.data import VideoError
from keras_t3d.inference import Camera, watch_frames
from keras_t3d.inference import camera as camera_module
from tests.conftest import counting_frames, frame_numbers, write_video


@pytest.fixture
def plays(monkeypatch):
    """Makes a camera play a file; `wrapped` gets the container that PyAV opens."""
    opened = av.open

    def play(file, system="Linux", wrapped=lambda container: container):
        def device(name, format, options):
            assert (name, format) == {
                "Linux": ("/dev/video3", "v4l2"),
                "Darwin": ("3", "avfoundation"),
            }.get(system)
            return wrapped(opened(str(file)))

        monkeypatch.setattr(camera_module.av, "open", device)
        monkeypatch.setattr(camera_module.platform, "system", lambda: system)

    return play


class Failing:
    """A camera's container that raises `errors` before the packets with their numbers."""

    def __init__(self, container, errors):
        self.streams, self.close = container.streams, container.close
        self.errors, self.count = errors, 0
        self.packets = container.demux(container.streams.video[0])

    def demux(self, stream):
        while True:
            if self.errors.get(self.count):
                raise self.errors[self.count].pop(0)
            packet = next(self.packets, None)
            if packet is None:
                return
            self.count += 1
            yield packet


def write_webcam(path, count):
    """Writes counting frames as webcams send them, as JPEG images."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for frame in counting_frames(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_times_start_at_the_first_frame(recording, tmp_path, plays, system):
    plays(write_video(tmp_path / "camera.mp4", counting_frames(9), fps=10), system)
    with Camera(3) as camera:
        frames = list(watch_frames(recording, camera))
    np.testing.assert_allclose([frame.start for frame in frames], np.arange(9) / 10)
    assert frames[-1].end == pytest.approx(0.9)


def test_other_systems_are_rejected(tmp_path, plays):
    plays(tmp_path, "Windows")
    with pytest.raises(VideoError, match=r"macOS .*Received: "):
        Camera(3)


def test_a_missing_camera_is_named(monkeypatch):
    monkeypatch.setattr(camera_module.platform, "system", lambda: "Linux")
    with pytest.raises(VideoError, match=r"/dev/video97"):
        Camera(97)


def not_yet():
    return av.error.BlockingIOError(35, "Resource temporarily unavailable")


def test_delayed_frames_are_awaited(tmp_path, plays):
    file = write_webcam(tmp_path / "camera.avi", 9)
    errors = {0: [not_yet(), not_yet()], 4: [not_yet(), not_yet()]}
    plays(file, "Darwin", lambda container: Failing(container, errors))
    with Camera(3) as camera:
        frames = [frame.pixels for frame in camera.timed()]
    assert frame_numbers(np.stack(frames)) == list(range(9))
    assert not any(errors.values())


@pytest.mark.parametrize(("count", "said"), [(0, "No frame"), (4, "stopped")])
def test_reading_times_out_without_frames(tmp_path, plays, monkeypatch, count, said):
    monkeypatch.setattr(camera_module, "_FRAME_TIMEOUT", 0.05)
    file = write_webcam(tmp_path / "camera.avi", 9)
    errors = {count: [not_yet() for _ in range(1000)]}
    plays(file, "Darwin", lambda container: Failing(container, errors))
    frames = []
    with Camera(3) as camera, pytest.raises(VideoError, match=f"{said}.*0.05 s"):
        frames.extend(camera.timed())  # grows until it fails
    assert len(frames) == count
    assert len(errors[count]) > 900  # it paused between attempts


def test_reading_times_out_if_the_driver_hangs(tmp_path, plays, monkeypatch):
    monkeypatch.setattr(camera_module, "_FRAME_TIMEOUT", 0.05)
    monkeypatch.setattr(camera_module, "_CLOSE_TIMEOUT", 0.05)
    hangs = threading.Event()

    class Hanging:
        def __init__(self, container):
            self.container = container

        def __getattr__(self, name):
            return getattr(self.container, name)

        def demux(self, stream):
            yield from itertools.islice(self.container.demux(stream), 3)
            hangs.wait()

        def close(self):
            raise AssertionError("another thread is reading")

    plays(write_webcam(tmp_path / "camera.avi", 9), wrapped=Hanging)
    frames = []
    with Camera(3) as camera, pytest.raises(VideoError, match=r"0\.05 s"):
        frames.extend(camera.timed())
    assert len(frames) == 3
    hangs.set()


def test_the_camera_is_closed(tmp_path, plays):
    plays(write_webcam(tmp_path / "camera.avi", 50))
    with Camera(3) as camera:
        assert next(camera.timed()).start == 0
    with pytest.raises((AssertionError, ValueError, OSError)):
        next(camera._container.demux(video=0))  # it is closed


def test_a_disconnected_camera_yields_all_frames_before(tmp_path, plays):
    file = write_webcam(tmp_path / "camera.avi", 9)
    errors = {6: [av.error.OSError(19, "No such device")]}
    plays(file, wrapped=lambda container: Failing(container, errors))
    frames = []
    with Camera(3) as camera, pytest.raises(VideoError, match="camera 3"):
        frames.extend(frame.pixels for frame in camera.timed())
    assert frame_numbers(np.stack(frames)) == list(range(6))


def test_damaged_frames_are_left_out(tmp_path, plays):
    file = write_webcam(tmp_path / "camera.avi", 50)
    with av.open(str(file)) as container:
        packets = list(container.demux(video=0))
        spans = {n: (packets[n].pos, packets[n].size) for n in (0, 20, 21, 49)}
    content = bytearray(file.read_bytes())
    for position, size in spans.values():
        start = content.index(b"\xff\xd8", position)  # where a JPEG image begins
        content[start : start + size] = bytes(size)
    file.write_bytes(content)
    plays(file)
    with Camera(3) as camera:
        frames = [frame.pixels for frame in camera.timed()]
    assert frame_numbers(np.stack(frames)) == [n for n in range(50) if n not in spans]

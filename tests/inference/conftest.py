"""A predictor that records the frames it reads, unusual videos, and commands run in-process."""

from fractions import Fraction

import av
import numpy as np
import pytest

from keras_t3d import cli
from keras_t3d.cli import loading
from keras_t3d.clips import ClipSpec
from keras_t3d.inference import load_predictor
from tests.conftest import counting_frames, frame_numbers, write_video


class RecordingPredictor:
    """Records the frame numbers of each clip; its probabilities depend on the first."""

    class_names = ("even", "odd", "never")

    def __init__(self, clip_spec):
        self.clip_spec = clip_spec
        self.read = []
        self.batches = []

    def probabilities(self, clips):
        numbers = [frame_numbers(clip) for clip in clips]
        self.read += numbers
        self.batches.append(len(clips))
        odd = np.array([clip[0] % 2 for clip in numbers], np.float32)
        return np.stack([0.75 - 0.5 * odd, 0.25 + 0.5 * odd, 0 * odd], axis=1)


@pytest.fixture
def recording():
    """A RecordingPredictor of 4 frames with stride 2: a window spans 7 frames."""
    return RecordingPredictor(ClipSpec(num_frames=4, frame_stride=2, resize=36, crop=32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of 40 frames at 10 fps, one of 3 frames, and a file that is not a video."""
    root = tmp_path_factory.mktemp("videos")
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    write_video(root / "a.mp4", noise, fps=10)
    write_video(root / "below" / "b.mp4", counting_frames(3), fps=10)
    (root / "broken.mp4").write_text("no video")
    return root


@pytest.fixture
def run(monkeypatch, capsys, model):
    """Runs a command with the model in memory, whichever file is named."""
    predictor = load_predictor(model)
    monkeypatch.setattr(loading, "predictor", lambda path: predictor)

    def run_command(*words):
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run_command


def write_uneven_video(path, frames, times, sound=False):
    """Writes frames at these times, in seconds with 3 decimals; the last lasts 0.5 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "10", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        lengths = dict(zip(times, np.diff([*times, times[-1] + 0.5]), strict=True))
        lengths = {round(1000 * time): round(1000 * length) for time, length in lengths.items()}

        def mux(packets):
            for packet in packets:
                packet.duration = lengths[packet.pts]
                container.mux(packet)

        for frame, time in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = round(1000 * time), Fraction(1, 1000)
            mux(stream.encode(picture))
        mux(stream.encode())
        if audio:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
            tone.sample_rate, tone.pts = 8000, 0
            container.mux(audio.encode(tone))
            container.mux(audio.encode())
    return path

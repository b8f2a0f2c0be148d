"""One scaler for the frames of a stream gives the pixels of a new scaler for each."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest

from keras_t3d.data import VideoReader
from keras_t3d.data.video import rgb
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.rgb import RgbConverter

FORMATS = (
    *("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuvj444p", "yuv411p", "yuv440p"),
    *("yuv420p10le", "yuv422p12le", "yuv444p16le", "nv12", "nv21", "p010le", "yuyv422"),
    *("gray", "gray10le", "monow", "rgb24", "bgr24", "rgba", "argb", "gbrp", "gbrp10le"),
    *("yuva420p", "pal8", "rgb565le", "rgb48le"),
)
BT709, BT601, FULL = 1, 5, 2  # of FFmpeg


def noisy_frame(kind="yuv420p", size=(64, 48), seed=0, colorspace=None, color_range=None):
    frame = av.VideoFrame(*size, kind)
    rng = np.random.default_rng(seed)
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    if colorspace is not None:
        frame.colorspace = colorspace
    if color_range is not None:
        frame.color_range = color_range
    return frame


def pixels_of_a_new_scaler(frame, size):
    return frame.to_ndarray(format="rgb24", width=size[0], height=size[1])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (46, 62)])
@pytest.mark.parametrize("threads", [1, 0])
def test_pixel_formats(kind, size, threads):
    converter = RgbConverter("a.mp4", threads)
    for seed in range(3):
        frame = noisy_frame(kind, seed=seed)
        pixels = converter.pixels(frame, size)
        assert pixels.shape == (size[1], size[0], 3)
        assert np.array_equal(pixels, pixels_of_a_new_scaler(noisy_frame(kind, seed=seed), size))


def test_frames_of_changing_kind():
    rng = np.random.default_rng(0)
    converter = RgbConverter("a.mp4")
    for seed in range(60):
        kind = {
            "kind": FORMATS[rng.integers(3)],
            "size": [(64, 48), (47, 63), (130, 90)][rng.integers(3)],
            "colorspace": [None, BT601, BT709][rng.integers(3)],
            "color_range": [None, FULL][rng.integers(2)],
        }
        pixels = converter.pixels(noisy_frame(seed=seed, **kind), (64, 48))
        expected = pixels_of_a_new_scaler(noisy_frame(seed=seed, **kind), (64, 48))
        assert np.array_equal(pixels, expected), kind


def write_changing(path):
    """9 frames of noise; the 4th to 6th have another size than the others."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        other = av.CodecContext.create("mjpeg", "w")
        other.width, other.height, other.pix_fmt = 100, 70, "yuvj420p"
        other.time_base = Fraction(1, 10)
        for index in range(9):
            encoder = other if index in (3, 4, 5) else stream.codec_context
            frame = noisy_frame("yuvj420p", (encoder.width, encoder.height), seed=index)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            for packet in encoder.encode(frame):
                packet.stream = stream
                container.mux(packet)
    return path


def test_a_stream_that_changes_size(tmp_path):
    path = write_changing(tmp_path / "a.avi")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [frame.width for frame in frames] == [64] * 3 + [100] * 3 + [64] * 3
    expected = [pixels_of_a_new_scaler(frame, (64, 48)) for frame in frames]
    with VideoReader(path) as reader:
        assert np.array_equal(list(reader), expected)
    with VideoReader(path) as reader:
        late = list(reader.timed())
    assert np.array_equal([frame.pixels for frame in reversed(late)], expected[::-1])


def test_frames_of_one_kind_share_a_scaler(monkeypatch):
    made = []

    def new_scaler():
        made.append(1)
        return av.video.reformatter.VideoReformatter()

    monkeypatch.setattr(rgb, "VideoReformatter", new_scaler)
    converter = RgbConverter("a.mp4")
    before = len(made)
    for size in [(64, 48)] * 3 + [(32, 24)] * 3:
        converter.pixels(noisy_frame(), size)
    assert len(made) - before == 2


def test_pixels_stay_when_the_next_frame_is_converted():
    converter = RgbConverter("a.mp4")
    first = converter.pixels(noisy_frame(seed=0), (64, 48))
    kept = first.copy()
    converter.pixels(noisy_frame(seed=1), (64, 48))
    assert np.array_equal(first, kept)


def test_threads_may_share_a_converter():
    converter = RgbConverter("a.mp4")
    expected = [pixels_of_a_new_scaler(noisy_frame(seed=seed), (46, 62)) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda s: converter.pixels(noisy_frame(seed=s), (46, 62)), range(40))
        assert np.array_equal(list(found), expected)


def test_a_frame_that_does_not_convert_says_so_and_spoils_no_other():
    converter = RgbConverter("a.mp4")
    thin = noisy_frame(size=(2, 16384))
    for _ in range(2):
        assert converter.error(thin, (4000, 3))
        with pytest.raises(VideoError, match=r"RGB.*a\.mp4"):
            converter.pixels(thin, (4000, 3))
    frame = noisy_frame()
    assert converter.error(frame, (64, 48)) is None
    assert np.array_equal(
        converter.pixels(frame, (64, 48)), pixels_of_a_new_scaler(frame, (64, 48))
    )


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("width", [300, 301, 64])
def test_columns_are_those_of_the_whole_frame(kind, width):
    """In some formats others are not converted: the vector code must not see the cut."""
    converter, whole = RgbConverter("a.mp4"), RgbConverter("a.mp4")
    colours = [(None, None), (BT709, None), (BT601, FULL), (BT709, FULL)]
    columns = [(width // 4, 2 * width // 3), (0, 1), (width - 3, width), (0, width)]
    for seed, ((colorspace, color_range), (first, end)) in enumerate(
        itertools.product(colours, columns)
    ):
        frame = noisy_frame(kind, (width, 50), seed, colorspace, color_range)
        expected = whole.pixels(frame, (width, 50))[:, first:end]
        found = converter.pixels(frame, (width, 50), lambda h, w, some=(first, end): some)
        np.testing.assert_array_equal(found, expected)


def test_columns_of_a_scaled_frame():
    frame = noisy_frame(size=(300, 50))
    converter = RgbConverter("a.mp4")
    found = converter.pixels(frame, (150, 25), lambda height, width: (height, width))
    np.testing.assert_array_equal(found, converter.pixels(frame, (150, 25))[:, 25:])

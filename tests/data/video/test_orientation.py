"""Display matrices: all eight orientations, a matrix of zeros, and pixels that are not square."""

import ast
import contextlib  # noqa: F401
import io
import pathlib
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer, Type  # noqa: F401
from PIL import Image

from keras_t3d.data import VideoReader, read_video
from keras_t3d.data.video.frames import pixel_aspect
from keras_t3d.data.video.rgb import RgbConverter
from tests.conftest import write_video

EXAMPLE = pathlib.Path(__file__).parents[3] / "docs" / "examples" / "litert_alone.py"

# a, b, c, d: x is shown at a * x + c * y, y at b * x + d * y. The picture beside each is how the
# corners 1 2 / 3 4 of the stored picture are shown.
MATRICES = {
    "as stored": ((1, 0, 0, 1), [[1, 2], [3, 4]]),
    "clockwise": ((0, 1, -1, 0), [[3, 1], [4, 2]]),
    "upside down": ((-1, 0, 0, -1), [[4, 3], [2, 1]]),
    "counter-clockwise": ((0, -1, 1, 0), [[2, 4], [1, 3]]),
    "left to right": ((-1, 0, 0, 1), [[2, 1], [4, 3]]),
    "top to bottom": ((1, 0, 0, -1), [[3, 4], [1, 2]]),
    "rows as columns": ((0, 1, 1, 0), [[1, 3], [2, 4]]),
    "the other diagonal": ((0, -1, -1, 0), [[4, 2], [3, 1]]),
    "zeros": ((0, 0, 0, 0), [[1, 2], [3, 4]]),
    "a little askew": ((0.98, 0.17, -0.17, 0.98), [[1, 2], [3, 4]]),
    "askew, turned": ((-0.17, 0.98, -0.98, -0.17), [[3, 1], [4, 2]]),
}
LEVELS = (0, 60, 120, 180)
EXIF_ORIENTATION = 0x0112
# By the value of the tag, from 1.
EXIF_ORIENTATIONS = [
    MATRICES[name][1]
    for name in (
        *("as stored", "left to right", "upside down", "top to bottom"),
        *("rows as columns", "clockwise", "the other diagonal", "counter-clockwise"),
    )
]


def corners():
    """Three frames of 48 x 64 with another grey in each corner."""
    levels = np.array(LEVELS, np.uint8).reshape(2, 2)
    picture = levels.repeat(24, 0).repeat(32, 1)
    return np.repeat(np.repeat(picture[None, ..., None], 3, 0), 3, -1)


def shown_corners(pixels):
    height, width = pixels.shape[:2]
    middles = pixels[height // 4 :: height // 2, width // 4 :: width // 2].mean(-1)
    return (np.round(middles / 60).astype(int) + 1).tolist()


def with_matrix(source, target, matrix):
    """Writes a display matrix into an mp4's track header."""
    content = bytearray(source.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # of a version 0 header
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        fixed = round(value * 65536).to_bytes(4, "big", signed=True)
        content[start + offset : start + offset + 4] = fixed
    target.write_bytes(content)
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("plain") / "plain.mp4", corners())


@pytest.fixture(params=MATRICES.values(), ids=MATRICES.keys())
def turned(request, plain, tmp_path):
    """A video with a display matrix, and how its corners are shown."""
    matrix, expected = request.param
    return with_matrix(plain, tmp_path / "turned.mp4", matrix), expected


def first_frame(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def is_on_its_side(expected):
    return expected[0] not in ([1, 2], [2, 1], [3, 4], [4, 3])


def test_frames_are_upright(turned):
    path, expected = turned
    frames = read_video(path).frames
    assert frames.shape[1:3] == ((64, 48) if is_on_its_side(expected) else (48, 64))
    assert [shown_corners(frame) for frame in frames] == [expected] * 3
    assert frames.flags.c_contiguous


def test_columns_are_those_of_the_upright_frame(turned):
    path, expected = turned
    (frame,) = (frame for _, frame in VideoReader(path).pick([1]))
    ((index, columns, width),) = VideoReader(path).pick_columns([1], lambda h, w: (5, w - 3))
    assert (index, width) == (1, 48 if is_on_its_side(expected) else 64)
    np.testing.assert_array_equal(columns, frame[:, 5:-3])


def test_a_frame_is_scaled_before_it_is_turned(turned):
    path, expected = turned
    pixels = RgbConverter("turned.mp4").pixels(first_frame(path), (32, 16))
    assert pixels.shape == ((32, 16, 3) if is_on_its_side(expected) else (16, 32, 3))
    assert shown_corners(pixels) == expected


def example_upright(path):
    """Returns the first frame as the example turns it, which has the imports of this file."""
    defined = [node for node in ast.parse(EXAMPLE.read_text()).body if hasattr(node, "name")]
    needed = [node for node in defined if node.name in ("KnownSideData", "upright")]
    names = dict(globals())
    exec(compile(ast.Module(needed, []), str(EXAMPLE), "exec"), names)
    return np.asarray(names["upright"](first_frame(path)))


def test_the_example_that_needs_litert_alone_turns_frames_alike(turned):
    path, expected = turned
    image = example_upright(path)
    assert shown_corners(image) == expected
    assert np.array_equal(image, read_video(path).frames[0])


@pytest.mark.parametrize(
    ("ratio", "matrix", "expected"),
    [
        (None, None, 1),
        (Fraction(0), None, 1),
        (Fraction(64, 45), None, 64 / 45),
        (Fraction(64, 45), (1, 0, 0, 1), 64 / 45),
        (Fraction(64, 45), (-1, 0, 0, 1), 64 / 45),
        (Fraction(64, 45), (0, 0, 0, 0), 64 / 45),
        (Fraction(64, 45), (0, 1, -1, 0), 45 / 64),
        (Fraction(64, 45), (0, -1, 1, 0), 45 / 64),
        (Fraction(64, 45), (0, 1, 1, 0), 45 / 64),
        (Fraction(1, 1000), None, 1),
        (Fraction(1000), (0, 1, -1, 0), 1),
    ],
)
def test_pixel_aspect_is_turned(plain, tmp_path, ratio, matrix, expected):
    path = with_matrix(plain, tmp_path / "x.mp4", matrix or (1, 0, 0, 1))
    stream = SimpleNamespace(sample_aspect_ratio=ratio)
    assert pixel_aspect(stream, first_frame(path)) == pytest.approx(expected)


def test_timed_frames_know_their_pixel_aspect(plain, tmp_path):
    path = with_matrix(plain, tmp_path / "turned.mp4", (0, 1, -1, 0))
    with VideoReader(path) as reader:
        assert {frame.pixel_aspect for frame in reader.timed()} == {1.0}


def write_camera_video(path, orientation):
    """Writes Motion JPEG whose frames hold Exif data, as cameras do."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    jpeg = io.BytesIO()
    Image.fromarray(corners()[0]).save(jpeg, "JPEG", exif=exif)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for number in range(3):
            packet = av.Packet(jpeg.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, True
            container.mux(packet)
    return path


@pytest.mark.skipif(av.library_versions["libavcodec"] < (62,), reason="FFmpeg 8 reads Exif data")
@pytest.mark.parametrize(("orientation", "expected"), enumerate(EXIF_ORIENTATIONS, start=1))
def test_exif_data_of_cameras(tmp_path, orientation, expected):
    path = write_camera_video(tmp_path / "camera.avi", orientation)
    assert [shown_corners(frame) for frame in read_video(path).frames] == [expected] * 3
    assert shown_corners(example_upright(path)) == expected

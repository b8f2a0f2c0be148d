import csv
import io

import av
import numpy as np
import pytest

from keras_t3d.data import VideoError, VideoReader, read_video
from tests.conftest import SHARED_DATA, counting_frames, frame_numbers, write_video

ODD = SHARED_DATA / "odd"


def test_frames_come_in_order_and_complete(tmp_path):
    path = write_video(tmp_path / "a.mp4", counting_frames(30), fps=24)
    video = read_video(path)
    assert video.frames.shape == (30, 48, 64, 3)
    assert frame_numbers(video.frames) == list(range(30))
    assert (video.fps, video.damage) == (24.0, None)


def test_colours_are_rgb(tmp_path):
    red = np.zeros((4, 48, 64, 3), np.uint8)
    red[..., 0] = 200
    frames = read_video(write_video(tmp_path / "a.mp4", red)).frames
    assert np.abs(frames.mean(axis=(0, 1, 2)) - [200, 0, 0]).max() < 6


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.mp4", b"", "Cannot open"),
        ("text.mp4", b"this is no video\n" * 40, "Cannot open"),
    ],
)
def test_files_that_are_no_videos_say_so(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=said):
        read_video(tmp_path / name)


def test_counting_and_picking(tmp_path):
    path = write_video(tmp_path / "a.mp4", counting_frames(30))
    with VideoReader(path) as video:
        assert video.count() == 30
    with VideoReader(path) as video:
        picked = dict(video.pick([3, 17, 29]))
    assert list(picked) == [3, 17, 29]
    assert frame_numbers(np.stack(list(picked.values()))) == [3, 17, 29]


def test_a_name_like_a_protocol_is_a_file(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", counting_frames(3)).rename(tmp_path / "12:30.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read_video("12:30.mp4").frames) == 3


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match=path.name):
            VideoReader(path)


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"stream.*a\.mp4"):
        read_video(tmp_path / "a.mp4")


def test_a_kind_of_video_that_nobody_knows_says_so(tmp_path):
    path = write_video(tmp_path / "a.mp4", counting_frames(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(VideoError, match=f"decoder.*{path.name}"):
        read_video(path)


def test_a_truncated_file_gives_what_decodes_and_says_what_is_missing(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", frames, codec="libx264")
    content = whole.read_bytes()
    (tmp_path / "half.avi").write_bytes(content[: len(content) // 2])
    video = read_video(tmp_path / "half.avi")
    assert 5 < len(video.frames) < 40
    assert f"{len(video.frames)}" in video.damage


# The list counts the frames before a decoder's first error; after it, these have more.
AFTER_ERRORS = {"decord/test_data_corrupted.mp4": 49, "made/truncated_half_faststart.mp4": 18}


def expected():
    if not ODD.is_dir():
        return []
    return list(csv.DictReader(io.StringIO((ODD / "expected.csv").read_text())))


@pytest.mark.skipif(not ODD.is_dir(), reason=f"needs the shared videos in {ODD}")
@pytest.mark.parametrize("row", expected(), ids=lambda row: row["file"])
def test_odd_files_behave_as_expected(row):
    if row["decoded_frames"] == "0":
        with pytest.raises(VideoError):
            read_video(ODD / row["file"])
        return
    video = read_video(ODD / row["file"])
    assert len(video.frames) == AFTER_ERRORS.get(row["file"], int(row["decoded_frames"]))
    if row["fps"]:
        # The mean of what decodes, where the header contradicts it.
        expected_fps = {"made/truncated_half.avi": 25.2, "made/vfr.mp4": 6.698473}
        fps = expected_fps.get(row["file"], float(row["fps"]))
        assert video.fps == pytest.approx(fps)
        coded = int(row["coded_height"]), int(row["coded_width"])
        turned = abs(int(row["rotation"])) == 90
        assert video.frames.shape[1:3] == (coded[::-1] if turned else coded)
    damaged = "error after" in row["error"] or "header says" in row["note"]
    assert (video.damage is not None) == damaged


@pytest.mark.parametrize("start", [None, 0.0, 0.2, 1.0, 3.24, 6.0])
@pytest.mark.parametrize("end", [None, 6.1, 7.96])
def test_a_span_has_the_frames_that_are_shown_in_it(tmp_path, start, end):
    """Seeking lands on the key frame before; B-frames come out of order."""
    levels = np.arange(200) % 50
    frames = np.broadcast_to((5 * levels)[:, None, None, None], (200, 32, 32, 3)).astype(np.uint8)
    path = write_video(tmp_path / "x.mp4", frames)  # 25 frames a second
    first = 0 if start is None else round(start * 25)
    last = 200 if end is None else -(-round(end * 2500) // 100)
    with VideoReader(path, start=start, end=end) as reader:
        assert frame_numbers(np.stack(list(reader))) == levels[first:last].tolist()
    assert reader.damage is None


@pytest.mark.parametrize(
    ("start", "end", "damage"),
    [
        (0.0, None, "header says 4.00 seconds, frames end at "),
        (0.4, 3.0, "header says 4.00 seconds, frames end at "),
        (0.4, 9.0, "header says 4.00 seconds, frames end at "),
        (0.0, 0.8, None),
    ],
)
def test_a_span_that_a_cut_file_does_not_hold_is_damaged(tmp_path, start, end, damage):
    """The decoder reports no error: the file just ends."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", noise, fps=10, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(cut, start=start, end=end) as reader:
        found = len(list(reader))
    assert 5 < found < 25
    assert reader.damage == (damage and f"{damage}{(start * 10 + found) / 10:.2f}")
    with VideoReader(whole, start=start, end=None if end == 9.0 else end) as reader:
        assert reader.count() > (0 if damage is None else found)
    assert reader.damage is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])  # the second has no number of frames
@pytest.mark.parametrize(
    ("end", "damage"),
    [
        (8.0, None),
        (8.4, None),  # lists often give whole seconds
        (8.6, "the span ends at 8.6 seconds, frames end at 8.00"),
        (12.0, "the span ends at 12 seconds, frames end at 8.00"),
    ],
)
def test_a_span_that_ends_after_its_video_is_damaged(tmp_path, suffix, end, damage):
    path = write_video(tmp_path / f"x{suffix}", counting_frames(40), fps=5)
    with VideoReader(path, start=2.0, end=end) as reader:
        assert frame_numbers(np.stack(list(reader))) == list(range(10, 40))
    assert reader.damage == damage


def test_a_span_outside_the_video_says_so(tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(10))
    with (
        VideoReader(path, start=5, end=6) as reader,
        pytest.raises(VideoError, match=" 5 to 6"),
    ):
        list(reader)

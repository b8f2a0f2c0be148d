import dataclasses
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_t3d.cli import main
from keras_t3d.data import ConversionOptions, convert
from keras_t3d.data.contact_sheet import contact_sheet
from keras_t3d.data.inspection import Summary, summarize, warn_of_missing_classes
from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter, record_offsets
from keras_t3d.data.shards.shard import Shard
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.sources.listing import DatasetWarning
from tests.conftest import counting_frames, write_video


def jpeg(colour, height=48, width=64):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def video(colours, fps=10.0, height=48, width=64):
    frames = tuple(jpeg(colour, height, width) for colour in colours)
    return EncodedVideo(frames, height, width, fps)


def write_shards(folder, class_names, videos):
    """Writes shards of one file a split; `videos` are (split, id, class name, video)."""
    splits, files = {}, []
    for split in ("train", "val", "test"):
        chosen = [(name, label, v) for part, name, label, v in videos if part == split]
        per_class = {c: sum(label == c for _, label, _ in chosen) for c in class_names}
        splits[split] = {"videos": len(chosen), "per_class": per_class}
        if not chosen:
            continue
        path = folder / f"{split}-00000-of-00001.tfrecord"
        with RecordWriter(path) as writer:
            for name, label, v in chosen:
                writer.write(make_record(v, name, label, class_names.index(label)))
        files.append(Shard(path, split, len(chosen)))
    return ShardSet(folder, tuple(class_names), 16, tuple(files), {"splits": splits})


@pytest.fixture
def three_videos(tmp_path):
    return write_shards(
        tmp_path,
        ["a", "b"],
        [
            ("train", "1.mp4", "a", video(["black"] * 4)),
            ("train", "2.mp4", "b", video(["black"] * 6, fps=0.0)),
            ("test", "3.mp4", "b", video(["black"] * 6, fps=12.0, width=100)),
        ],
    )


def without_manifest(shards):
    """The same files as another program may have written them."""
    files = {split: shards.paths(split) for split in shards.splits}
    return ShardSet.of_files(files, shards.class_names)


class TestSummary:
    def test_what_the_records_hold(self, three_videos):
        summary = summarize(three_videos)
        assert summary.videos == {
            "train": {"a": 1, "b": 1},
            "val": {"a": 0, "b": 0},
            "test": {"a": 0, "b": 1},
        }
        assert list(summary.frame_sizes.items()) == [((64, 48), 2), ((100, 48), 1)]
        assert summary.num_frames.tolist() == [4, 6, 6]
        np.testing.assert_allclose(summary.seconds, [0.4, 0.5])

    def test_records_of_another_program_are_counted(self, three_videos):
        summary = summarize(without_manifest(three_videos))
        assert summary.videos == summarize(three_videos).videos
        assert summary.num_frames.tolist() == [4, 6, 6]

    def test_the_parts_of_a_cut_video_are_one_video(self, tmp_path):
        videos = [
            ("train", "long.mp4#1", "a", video(["black"] * 2)),
            ("train", "long.mp4#0", "a", video(["black"] * 4)),
            ("train", "short.mp4", "a", video(["black"] * 5, fps=0.0)),
            ("test", "long.mp4#0", "b", video(["black"])),  # in another split: not a part of it
            ("test", "x#1", "b", video(["black"])),  # without a part 0: ids of another writer
        ]
        summary = summarize(write_shards(tmp_path, ["a", "b"], videos))
        assert summary.videos["train"] == {"a": 2, "b": 0}
        assert summary.videos["test"] == {"a": 0, "b": 2}
        assert summary.num_frames.tolist() == [6, 5, 1, 1]
        np.testing.assert_allclose(summary.seconds, [0.6, 0.1, 0.1])
        assert summary.frame_sizes == {(64, 48): 4}

    def test_a_split_of_another_name_is_counted(self, three_videos):
        (path,) = three_videos.paths("test")
        opened = ShardSet.of_files({"extra": [path]}, ["a", "b"])
        videos = summarize(opened).videos
        assert list(videos) == ["train", "val", "test", "extra"]
        assert videos["extra"] == {"a": 0, "b": 1}
        assert not any(sum(videos[split].values()) for split in ("train", "val", "test"))

    def test_labels_of_other_class_names_are_refused(self, three_videos):
        renamed = dataclasses.replace(three_videos, class_names=("b", "a"))
        with pytest.raises(ValueError, match=r"0 \('a'\) for '1\.mp4'"):
            summarize(renamed)

    def test_lines(self, three_videos):
        lines = summarize(three_videos).lines()
        assert lines[:3] == [
            "frame size (width x height)",
            f"   64x48 {'#' * 40} 2",
            f"  100x48 {'#' * 20:40} 1",
        ]
        frames = lines.index("length in frames")
        assert [line.split() for line in lines[frames + 1 : frames + 4]] == [
            ["4", "#" * 20, "1"],
            ["5", "0"],
            ["6", "#" * 40, "2"],
        ]
        assert "length in seconds" in lines
        assert lines[-1] == "videos of unknown frame rate: 1"

    def test_no_seconds_where_no_rate_is_known(self, tmp_path):
        shards = write_shards(tmp_path, ["a"], [("train", "1", "a", video(["red"], fps=0.0))])
        assert "length in seconds" not in summarize(shards).lines()

    def test_progress_counts_the_videos(self, three_videos):
        calls = []
        summarize(three_videos, lambda done, total: calls.append((done, total)))
        assert calls == [(1, 3), (2, 3), (3, 3)]

    def test_damage_names_the_shard(self, three_videos):
        path = three_videos.folder / "test-00000-of-00001.tfrecord"
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
        with pytest.raises(RecordError, match=path.name):
            summarize(three_videos)

    def test_a_record_of_something_else_names_the_shard(self, three_videos):
        path = three_videos.folder / "test-00000-of-00001.tfrecord"
        with RecordWriter(path) as writer:
            writer.write(b"")
        with pytest.raises(ValueError, match=f"JPEG frames.*byte 0 of .*{path.name}"):
            summarize(three_videos)

    def test_many_frame_sizes_are_cut_short(self):
        sizes = {(100 + n, 100): 1 for n in range(13)}
        lines = Summary({}, sizes, np.array([1]), np.array([])).lines()
        assert f"  3 others {'#' * 40} 3" in lines

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.integers(1, 5000), min_size=1, max_size=40),
        st.lists(st.floats(0.01, 1e5), min_size=1, max_size=40),
    )
    def test_every_video_is_in_one_of_at_most_ten_bars(self, frames, seconds):
        lines = Summary({}, {(1, 1): 1}, np.array(frames), np.array(seconds)).lines()
        in_frames = lines.index("length in frames")
        in_seconds = lines.index("length in seconds")
        for bars, values in (
            (lines[in_frames + 1 : in_seconds - 1], frames),
            (lines[in_seconds + 1 : in_seconds + 1 + 10], seconds),
        ):
            counts = [int(line.split()[-1]) for line in bars if line.startswith("  ")]
            assert 1 <= len(counts) <= 10
            assert sum(counts) == len(values)


class TestMissingClasses:
    def test_are_named_by_split(self, three_videos):
        with pytest.warns(DatasetWarning) as warned:
            warn_of_missing_classes(three_videos, three_videos.splits)
        assert [str(warning.message) for warning in warned] == ["No test videos of 1 class: a"]

    @pytest.mark.filterwarnings("error")
    def test_are_none_where_every_class_has_videos(self, three_videos):
        warn_of_missing_classes(three_videos, ["train"])

    def test_are_printed_by_the_command(self, tmp_path, capsys):
        for split, names in (("train", "ab"), ("test", "b")):
            for name in names:
                folder = tmp_path / "videos" / split / name
                write_video(folder / "1.mp4", counting_frames(4, 32, 48))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DatasetWarning)
            convert(
                tmp_path / "videos", tmp_path / "out", ConversionOptions(short_side=16, workers=1)
            )
        assert main(["inspect", str(tmp_path / "out"), "--verify"]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert "keras-t3d: warning: No test videos of 1 class: a" in lines


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


class TestContactSheet:
    def test_the_middle_frame_of_each_video_is_in_the_row_of_its_class(self, tmp_path):
        shards = write_shards(
            tmp_path,
            ["cold", "warm"],
            [
                ("train", "w", "warm", video(["black", "red", "black"])),
                ("test", "c", "cold", video(["black", "blue", "black"])),
            ],
        )
        assert contact_sheet(shards, tmp_path / "sheet.png", per_class=1) == 0
        sheet = opened(tmp_path / "sheet.png")
        # A row: heading of 24, picture of 48, caption of 28 pixels; pictures begin at 8.
        assert sheet.shape == (8 + 2 * 100, 8 + 168, 3)
        blue, red = sheet[24:72, 8:72], sheet[124:172, 8:72]
        assert np.abs(blue - [0, 0, 255]).max() < 6
        assert np.abs(red - [255, 0, 0]).max() < 6
        assert (sheet[:, 0] == 255).all()

    def test_records_of_another_program(self, three_videos, tmp_path):
        for shards, name in ((three_videos, "ours"), (without_manifest(three_videos), "theirs")):
            assert contact_sheet(shards, tmp_path / f"{name}.png") == 0
        assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()

    def test_headings_and_ids_are_written(self, tmp_path):
        shards = write_shards(tmp_path, ["a"], [("train", "x/1.mp4", "a", video(["white"]))])
        contact_sheet(shards, tmp_path / "sheet.png")
        sheet = opened(tmp_path / "sheet.png")
        assert sheet[:24].min() < 100  # the class above the picture
        assert sheet[24:72].min() > 240
        assert sheet[72:82].min() < 100  # the id below, in one line
        assert sheet[86:].min() == 255

    def test_the_split_is_written_below_the_picture(self, tmp_path):
        sheets = []
        for split in ("train", "val"):
            (tmp_path / split).mkdir()
            videos = [(split, "1.mp4", "a", video(["white"]))]
            shards = write_shards(tmp_path / split, ["a"], videos)
            contact_sheet(shards, tmp_path / f"{split}.png")
            sheets.append(opened(tmp_path / f"{split}.png"))
        different = (sheets[0] != sheets[1]).any(axis=(1, 2))
        assert different[72:84].any()
        assert not different[:72].any()
        assert not different[86:].any()

    def test_a_long_id_takes_a_second_line(self, tmp_path):
        videos = [("train", "long/" * 20 + "1.mp4", "a", video(["white"]))]
        contact_sheet(write_shards(tmp_path, ["a"], videos), tmp_path / "sheet.png", per_class=1)
        sheet = opened(tmp_path / "sheet.png")
        assert sheet[86:96].min() < 100
        assert (sheet[:, -8:] == 255).all()  # neither line leaves its tile

    def test_one_seed_gives_one_sheet_and_another_seed_another(self, tmp_path):
        videos = [("train", str(n), "a", video([(10 * n, 0, 0)])) for n in range(12)]
        shards = write_shards(tmp_path, ["a"], videos)
        for name, seed in (("first", 0), ("again", 0), ("other", 1)):
            contact_sheet(shards, tmp_path / f"{name}.png", seed, per_class=3)
        first, again, other = (
            (tmp_path / f"{name}.png").read_bytes() for name in ("first", "again", "other")
        )
        assert first == again
        assert first != other

    def test_more_classes_than_rows_are_counted(self, tmp_path):
        names = [f"class {n}" for n in range(5)]
        videos = [("train", name, name, video(["red"])) for name in names[:4]]
        shards = write_shards(tmp_path, names, videos)
        assert contact_sheet(shards, tmp_path / "sheet.png", most_classes=3) == 1
        assert opened(tmp_path / "sheet.png").shape[0] == 8 + 3 * 100 + 24

    def test_odd_names_are_text(self, tmp_path):
        label = r"$\frac{ 走る"
        shards = write_shards(
            tmp_path, [label], [("train", "caf\udce9\n.mp4" * 9, label, video(["red"]))]
        )
        assert contact_sheet(shards, tmp_path / "sheet.png") == 0
        assert opened(tmp_path / "sheet.png")[30:60, 20:40].mean() < 100

    def test_large_and_upright_pictures_are_shrunk_to_their_tile(self, tmp_path):
        videos = [("train", "1", "a", video(["red"], height=640, width=320))]
        contact_sheet(write_shards(tmp_path, ["a"], videos), tmp_path / "sheet.png", per_class=1)
        sheet = opened(tmp_path / "sheet.png")
        assert sheet.shape == (8 + 24 + 160 + 28, 176, 3)
        assert np.abs(sheet[24:184, 8:88] - [255, 0, 0]).max() < 6
        assert (sheet[24:184, 90:] == 255).all()

    @pytest.mark.parametrize(
        ("path", "options", "said"),
        [
            ("sheet.jpg", {}, "`sheet`"),
            ("sheet.png", {"per_class": 0}, "`per_class`"),
            ("sheet.png", {"most_classes": 0}, "`most_classes`"),
        ],
    )
    def test_wrong_arguments_are_refused(self, three_videos, path, options, said):
        with pytest.raises(ValueError, match=said):
            contact_sheet(three_videos, three_videos.folder / path, **options)

    def test_a_frame_that_is_no_picture_is_named_and_no_file_is_left(self, tmp_path):
        broken = EncodedVideo((b"no jpeg",), 4, 4, 1.0)
        shards = write_shards(tmp_path, ["a"], [("train", "the id", "a", broken)])
        with pytest.raises(ValueError, match=r"Received: 'the id'"):
            contact_sheet(shards, tmp_path / "sheet.png")
        assert [path.suffix for path in tmp_path.iterdir()] == [".tfrecord"]

    def test_fewer_records_than_the_manifest_raise(self, tmp_path):
        shards = write_shards(tmp_path, ["a", "b"], [("train", "1", "a", video(["red"]))])
        shards.manifest["splits"]["train"]["per_class"] = {"a": 1, "b": 3}
        with pytest.raises(ValueError, match=r"manifest\.json"):
            contact_sheet(shards, tmp_path / "sheet.png")
        only_a = dataclasses.replace(shards, class_names=("b",))
        with RecordWriter(tmp_path / "train-00000-of-00001.tfrecord") as writer:
            writer.write(make_record(video(["red"]), "1", "a", 5))
        with pytest.raises(ValueError, match=r"from 0 to 0.*5"):
            contact_sheet(only_a, tmp_path / "sheet.png")

    def test_shards_without_videos_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="`shards`"):
            contact_sheet(write_shards(tmp_path, ["a"], []), tmp_path / "sheet.png")

    def test_reading_stops_when_the_rows_are_full(self, tmp_path):
        videos = [("train", str(n), "a", video(["red"])) for n in range(4)]
        shards = write_shards(tmp_path, ["a"], videos)
        path = tmp_path / "train-00000-of-00001.tfrecord"
        assert record_offsets(path).size == 4
        content = bytearray(path.read_bytes())
        content[int(record_offsets(path)[3]) + 60] ^= 1  # one record of four is damaged
        path.write_bytes(content)
        outcomes = set()
        for seed in range(8):
            try:
                contact_sheet(shards, tmp_path / "sheet.png", seed, per_class=1)
                outcomes.add("drawn")
            except RecordError:
                outcomes.add("damaged")
        assert outcomes == {"drawn", "damaged"}  # it is met only where it is drawn

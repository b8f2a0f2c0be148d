import contextlib
import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_t3d.data.conversion.convert import convert
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import OutputFolder
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from tests.conftest import counting_frames, frame_numbers, write_video

pytestmark = pytest.mark.process


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_record_has_the_published_layout(shards):
    path = ShardSet.open(shards).paths("test")[0]
    record = next(tf.data.TFRecordDataset(path).as_numpy_iterator())
    example = tf.train.SequenceExample.FromString(record)
    context = example.context.feature
    assert set(context) == {
        "clip/label/index",
        "clip/label/text",
        "clip/id",
        "image/height",
        "keras_t3d/index",
        "image/width",
        "video/fps",
    }
    label = context["clip/label/text"].bytes_list.value[0].decode()
    assert context["clip/label/index"].int64_list.value[0] == ["bright", "dark"].index(label)
    assert context["clip/id"].bytes_list.value[0].decode().startswith(f"test/{label}/")
    assert context["video/fps"].float_list.value[0] == 25.0
    frames = example.feature_lists.feature_list["image/encoded"].feature
    first = tf.io.decode_jpeg(frames[0].bytes_list.value[0])
    size = (context["image/height"].int64_list.value[0], context["image/width"].int64_list.value[0])
    assert first.shape == (*size, 3) == (40, 53, 3)


def test_manifest_labels_and_rejects_add_up(shards):
    manifest = json.loads((shards / "manifest.json").read_text())
    assert (shards / "labels.txt").read_text() == "bright\ndark\n"
    assert (shards / "rejects.csv").read_text() == "source,stage,reason\n"
    assert manifest["splits"]["train"] == {
        "videos": 20,
        "records": 20,
        "per_class": {"bright": 10, "dark": 10},
    }
    assert sum(shard["examples"] for shard in manifest["shards"]) == manifest["listed"] == 28
    assert not ShardSet.open(shards).damaged_shards()
    assert all(not path.name.startswith(".") for path in shards.iterdir())


def test_workers_do_not_change_a_byte(videos, shards, tmp_path):
    convert(videos, tmp_path / "again", ConversionOptions(short_side=40, workers=2))
    assert content(tmp_path / "again") == content(shards)


def test_an_interrupted_conversion_resumes(videos, shards, tmp_path, monkeypatch):
    out = tmp_path / "out"
    decoded = []

    def decode_until_stopped(self, entry, *args):
        decoded.append(entry.video_id)
        if len(decoded) == 15:
            raise KeyboardInterrupt
        return original(self, entry, *args)

    original = IsolatedDecoder.write_records
    monkeypatch.setattr(IsolatedDecoder, "write_records", decode_until_stopped)
    with pytest.raises(KeyboardInterrupt):
        convert(videos, out, ConversionOptions(short_side=40, workers=1))
    with pytest.raises(ValueError, match="interrupted"):
        ShardSet.open(out)
    with pytest.raises(InvalidArgumentError, match=r"`out`.*unfinished"):
        convert(videos, out, ConversionOptions(short_side=32, workers=1))
    convert(videos, out, ConversionOptions(short_side=40, workers=1))
    # All but the one that it was at; a worker may be one video ahead of the interruption.
    assert len(set(decoded)) == 28
    assert len(decoded) <= 28 + 2
    assert content(out) == content(shards)


@pytest.mark.parametrize(
    "seconds", [1.2, *(pytest.param(other, marks=pytest.mark.slow) for other in (0.6, 2.0))]
)
def test_a_killed_conversion_resumes_with_the_same_bytes(videos, shards, tmp_path, seconds):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "keras_t3d.cli", "convert", videos, out, "--short-side=40"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not (out / "manifest.json").exists():  # it may have been faster
        convert(videos, out, ConversionOptions(short_side=40, workers=2))
    assert content(out) == content(shards)


def test_a_long_video_is_cut_into_records(tmp_path):
    for label, count in (("a", 25), ("b", 10)):
        path = tmp_path / "v" / "train" / label / "x.mp4"
        write_video(path, counting_frames(count, 16, 32), fps=5)
    report = convert(tmp_path / "v", tmp_path / "out", ConversionOptions(max_seconds=2, workers=1))
    assert report.cut == {"train/a/x.mp4": 3}
    assert report.videos["train"] == 2  # the parts of a cut video are one video
    shards = ShardSet.open(tmp_path / "out")
    assert shards.num_videos("train") == 4
    assert shards.manifest["listed"] == shards.manifest["converted"] == 2
    stored = [
        stored_video(record)
        for path in shards.paths("train")
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]
    parts = [video for video in stored if video.label == "a"]
    assert [video.video_id for video in parts] == [f"train/a/x.mp4#{part}" for part in range(3)]
    assert [len(video.frames) for video in parts] == [10, 8, 7]
    numbers = [
        np.asarray(Image.open(io.BytesIO(frame))) for video in parts for frame in video.frames
    ]
    assert frame_numbers(np.stack(numbers)) == list(range(25))


def test_spans_of_one_file(tmp_path):
    write_video(tmp_path / "film.mp4", counting_frames(40, 16, 32), fps=5)
    (tmp_path / "list.csv").write_text(
        "path,label,split,start,end\nfilm.mp4,a,train,0.4,1.2\nfilm.mp4,b,train,2.6,5\n"
        "film.mp4,b,train,9,10\n"
    )
    report = convert(
        tmp_path / "list.csv", tmp_path / "out", ConversionOptions(layout="csv", workers=1)
    )
    assert report.videos["train"] == 2
    (reject,) = report.rejects
    assert reject.reason == "No frame could be decoded (it holds none from second 9.0 to 10.0)"
    found = {}
    for path in ShardSet.open(tmp_path / "out").paths("train"):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            video = stored_video(record)
            frames = [np.asarray(Image.open(io.BytesIO(frame))) for frame in video.frames]
            found[video.label] = frame_numbers(np.stack(frames))
    assert found == {"a": [2, 3, 4, 5], "b": list(range(13, 25))}


def test_a_span_that_its_file_does_not_hold_in_full_is_named_as_damaged(tmp_path):
    write_video(tmp_path / "film.mp4", counting_frames(40, 16, 32), fps=5)
    (tmp_path / "list.csv").write_text(
        "path,label,split,start,end\nfilm.mp4,a,train,1,3\nfilm.mp4,b,train,6,16\n"
    )
    report = convert(
        tmp_path / "list.csv", tmp_path / "out", ConversionOptions(layout="csv", workers=1)
    )
    assert report.videos["train"] == 2
    assert report.damaged == (
        {
            "video": "film.mp4@6-16",
            "reason": "the span ends at 16 seconds, frames end at 8.00",
        },
    )


def test_rejects_beyond_the_limit_stop_early(tmp_path):
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
        for name in range(10):
            (tmp_path / "v" / "train" / label / f"{name}.mp4").write_bytes(b"")
    with pytest.raises(ConversionError, match=r"4 .*`max_rejects` \(3\)"):
        convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1, max_rejects=3))


def test_two_conversions_cannot_write_to_one_folder(videos, tmp_path, monkeypatch):
    out, said = tmp_path / "out", []

    def convert_meanwhile(self, entry, *args):
        if not said:
            command = [sys.executable, "-m", "keras_t3d.cli", "convert", videos, out]
            found = subprocess.run(command, check=False, capture_output=True, text=True)
            said.append((found.returncode, found.stderr))
        return original(self, entry, *args)

    original = IsolatedDecoder.write_records
    monkeypatch.setattr(IsolatedDecoder, "write_records", convert_meanwhile)
    convert(videos, out, ConversionOptions(workers=1))
    ((code, message),) = said
    assert code == 1
    assert "Another conversion is writing" in message
    assert ShardSet.open(out).num_videos("train") == 20


def test_an_outcome_that_was_lost_stops_the_conversion(videos, tmp_path, monkeypatch):
    def lose(self, place, outcome):
        if place != 3:
            original(self, place, outcome)

    original = OutputFolder.keep_outcome
    monkeypatch.setattr(OutputFolder, "keep_outcome", lose)
    with pytest.raises(ConversionError, match="video 3 "):
        convert(videos, tmp_path / "out", ConversionOptions(workers=1))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_disk_that_gets_full_is_named(videos, tmp_path, monkeypatch):
    def full(self, place, outcome):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutputFolder, "keep_outcome", full)
    with pytest.raises(ConversionError, match=str(tmp_path)):
        convert(videos, tmp_path / "out", ConversionOptions(workers=1))


def test_linked_folders_are_read(videos, tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "test").mkdir()
    for label in ("bright", "dark"):
        (tmp_path / "v" / "test" / label).mkdir()
        (tmp_path / "v" / "test" / label / "more").symlink_to(videos / "test" / label)
    report = convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    assert report.videos["test"] == 8


def test_a_disk_without_space_is_seen_before(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1000))
    with pytest.raises(ConversionError, match=r" 0\.0 GiB"):
        convert(videos, tmp_path / "out", ConversionOptions(workers=1))
    assert not (tmp_path / "out").exists()


def test_bad_videos_are_reported_and_the_rest_is_written(videos, tmp_path):
    source = tmp_path / "videos"
    shutil.copytree(videos / "test", source / "test")
    (source / "test" / "dark" / "empty.mp4").write_bytes(b"")
    (source / "test" / "dark" / "text.mp4").write_text("no video")
    (source / "test" / "dark" / "readme.txt").write_text("no video")
    whole = next((source / "test" / "bright").iterdir())
    frames = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    cut = write_video(source / "test" / "bright" / "cut.avi", frames)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    report = convert(source, tmp_path / "out", ConversionOptions(workers=1))
    assert whole.is_file()
    assert report.videos == {"train": 0, "val": 0, "test": 9}
    assert [video["video"] for video in report.damaged] == ["test/bright/cut.avi"]
    rows = list(csv.DictReader((tmp_path / "out" / "rejects.csv").open()))
    assert {(row["source"], row["stage"]) for row in rows} == {
        ("test/dark/empty.mp4", "decode"),
        ("test/dark/text.mp4", "decode"),
        ("test/dark/readme.txt", "list"),
    }
    assert all(row["reason"] and "/" not in row["reason"] for row in rows)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["listed"] == 12 == 9 + manifest["rejected"]


def test_too_many_rejects_fail_and_a_higher_limit_finishes(videos, tmp_path):
    source = tmp_path / "videos"
    shutil.copytree(videos / "test", source / "test")
    (source / "test" / "dark" / "empty.mp4").write_bytes(b"")
    with pytest.raises(ConversionError, match=r"`max_rejects` \(0\)"):
        convert(source, tmp_path / "out", ConversionOptions(workers=1, max_rejects=0))
    assert not (tmp_path / "out" / "manifest.json").exists()
    convert(source, tmp_path / "out", ConversionOptions(workers=1, max_rejects=1))
    assert ShardSet.open(tmp_path / "out").num_videos("test") == 8


def test_nothing_decodable_leaves_nothing(tmp_path):
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
        (tmp_path / "v" / "train" / label / "x.mp4").write_bytes(b"")
    with pytest.raises(ConversionError, match=r"of 2 .*x\.mp4"):
        convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    assert not (tmp_path / "out").exists()


def test_nothing_decodable_leaves_an_empty_folder_empty(tmp_path):
    (tmp_path / "out").mkdir()
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
        (tmp_path / "v" / "train" / label / "x.mp4").write_bytes(b"")
    with pytest.raises(ConversionError, match=r"of 2 .*x\.mp4"):
        convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    assert not list((tmp_path / "out").iterdir())


def test_names_that_are_not_utf8_are_converted_and_reported(videos, tmp_path):
    source = os.fsencode(shutil.copytree(videos / "test", tmp_path / "videos" / "test"))
    good = next((videos / "test" / "dark").iterdir())
    shutil.copy(os.fsencode(good), source + b"/dark/g\xfft.mp4")
    with open(source + b"/dark/b\xffd.mp4", "wb"):
        pass
    report = convert(tmp_path / "videos", tmp_path / "out", ConversionOptions(workers=2))
    assert report.videos["test"] == 9
    assert "b\\udcffd.mp4" in (tmp_path / "out" / "rejects.csv").read_text()


def test_an_output_folder_inside_the_source_is_refused(videos):
    for out in (videos / "shards", videos):
        with pytest.raises(InvalidArgumentError, match=r"`out`.*inside `source`"):
            convert(videos, out)
    assert not (videos / "shards").exists()


def test_an_output_folder_that_exists_is_left_alone(videos, shards, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"`out`.*Received"):
        convert(videos, shards, ConversionOptions(short_side=40))
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InvalidArgumentError, match=r"`out`.*Received"):
        convert(videos, tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"`out`.*mine.txt"):
        convert(videos, tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize(
    "wrong",
    [
        {"layout": "zip"},
        {"short_side": 0},
        {"jpeg_quality": 101},
        {"workers": 0},
        {"max_seconds": 0.5},
        {"time_limit": 0},
    ],
)
def test_wrong_arguments_are_refused(videos, tmp_path, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InvalidArgumentError, match=rf"`{name}`.*Received: {value!r}") as error:
        convert(videos, tmp_path / "out", ConversionOptions(**wrong))
    assert error.value.argument == name
    assert not (tmp_path / "out").exists()


def test_progress_counts_every_video(videos, tmp_path):
    seen = []
    convert(
        videos,
        tmp_path / "out",
        ConversionOptions(workers=1),
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(done, 28) for done in range(1, 29)]


def test_small_frames_are_not_enlarged(tmp_path):
    for label in "ab":
        write_video(tmp_path / "v" / "train" / label / "x.mp4", counting_frames(4, 16, 16))
    convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    record = next(
        tf.data.TFRecordDataset(ShardSet.open(tmp_path / "out").paths("train")).as_numpy_iterator()
    )
    context = tf.train.SequenceExample.FromString(record).context.feature
    assert context["image/height"].int64_list.value[0] == 16

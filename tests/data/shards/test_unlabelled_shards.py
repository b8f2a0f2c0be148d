"""Shards of videos without labels: written, looked at, opened, and refused where labels count."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_t3d import ClipSpec, cli
from keras_t3d.data import ConversionOptions, ShardSet, convert, load_clips
from keras_t3d.data.clips.record_keys import source_number
from keras_t3d.data.contact_sheet import contact_sheet
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.inspection import summarize
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.evaluation import score_videos
from tests.conftest import counting_frames, write_video
from tests.evaluation.written import FirstFrame


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Nine videos, one of them of three records, at two depths; a broken one, and a text."""
    root = tmp_path_factory.mktemp("films")
    for number in range(8):
        folder = root / "deep" if number % 2 else root
        write_video(folder / f"{number}.mp4", counting_frames(6, 32, 48))
    write_video(root / "long.mp4", counting_frames(25, 32, 48), fps=5)
    (root / "broken.mp4").write_bytes(b"no video")
    (root / "notes.txt").write_text("no video either")
    return root


OPTIONS = {"short_side": 32, "max_seconds": 2, "workers": 1}


@pytest.fixture(scope="module")
def shards(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "shards"
    convert(films, out, ConversionOptions(layout="unlabelled", **OPTIONS))
    return out


def content(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def records(shards):
    for path in ShardSet.open(shards).paths("train"):
        with open(path, "rb") as file:
            for offset in record_offsets(path):
                yield read_record(file, int(offset))


class TestConvert:
    def test_records_have_no_label(self, shards):
        ids = []
        for record in records(shards):
            context = tf.train.SequenceExample.FromString(record).context.feature
            assert set(context) == {
                *("clip/id", "image/height", "keras_t3d/index", "image/width", "video/fps")
            }
            video = stored_video(record)
            assert (video.label_index, video.label) == (-1, "")
            ids.append(video.video_id)
        assert sorted(ids) == sorted(
            [f"{'deep/' if number % 2 else ''}{number}.mp4" for number in range(8)]
            + [f"long.mp4#{part}" for part in range(3)]
        )

    def test_labels_manifest_and_rejects(self, shards):
        manifest = json.loads((shards / "manifest.json").read_text())
        assert (shards / "labels.txt").read_bytes() == b""
        assert manifest["num_classes"] == 0
        assert manifest["options"]["layout"] == "unlabelled"
        assert manifest["splits"]["train"] == {"videos": 9, "records": 11, "per_class": {}}
        assert (manifest["listed"], manifest["converted"], manifest["rejected"]) == (11, 9, 2)
        assert manifest["cut"] == {"long.mp4": 3}
        lines = (shards / "rejects.csv").read_text().splitlines()
        assert [line.split(",")[:2] for line in lines[1:]] == [
            ["broken.mp4", "decode"],
            ["notes.txt", "list"],
        ]

    def test_an_interrupted_conversion_goes_on_where_it_was(
        self, films, shards, tmp_path, monkeypatch
    ):
        decoded = []

        def decode_until_stopped(self, entry, *args):
            decoded.append(entry.video_id)
            if len(decoded) == 5:
                raise KeyboardInterrupt
            return original(self, entry, *args)

        original = IsolatedDecoder.write_records
        monkeypatch.setattr(IsolatedDecoder, "write_records", decode_until_stopped)
        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            convert(films, out, ConversionOptions(layout="unlabelled", **OPTIONS))
        convert(films, out, ConversionOptions(layout="unlabelled", **OPTIONS))
        assert len(set(decoded)) == 10
        assert len(decoded) <= 12
        assert content(out) == content(shards)

    def test_two_classes_are_still_needed_where_there_are_classes(self, tmp_path):
        write_video(tmp_path / "v" / "train" / "a" / "x.mp4", counting_frames(4, 32, 48))
        with pytest.raises(ValueError, match=" 2 classes"):
            convert(tmp_path / "v", tmp_path / "s", ConversionOptions(workers=1))
        assert not (tmp_path / "s").exists()


class TestShardSet:
    def test_opens_without_classes(self, shards):
        opened = ShardSet.open(shards)
        assert opened.class_names == ()
        assert (opened.splits, opened.num_videos("train")) == (["train"], 11)
        assert not opened.damaged_shards()

    def test_labels_that_were_not_written_are_refused(self, shards, tmp_path):
        for name, data in content(shards).items():
            (tmp_path / name).write_bytes(data)
        (tmp_path / "labels.txt").write_text("a\nb\n")
        with pytest.raises(ValueError, match=r" 0 classes.* 2 lines"):
            ShardSet.open(tmp_path)

    def test_of_files_takes_no_class_names_for_none(self, shards):
        paths = ShardSet.open(shards).paths("train")
        opened = ShardSet.of_files({"train": paths}, class_names=[])
        assert opened.class_names == ()
        with pytest.raises(ValueError, match=r"`class_names` of ShardSet\.of_files"):
            load_clips(opened, "train", ClipSpec(resize=32, crop=32), 2)

    @pytest.mark.parametrize("training", [True, False])
    def test_clips_are_loaded(self, shards, spec, training):
        small = dataclasses.replace(spec, resize=32, crop=32)
        clips = load_clips(shards, "train", small, 11, training=training, labelled=False)
        (batch,) = clips.as_numpy_iterator()
        assert batch["clips"].shape == (11, *small.input_shape)
        numbers = batch["videos"].tolist()
        assert numbers.count(source_number("long.mp4")) == 3
        assert len(set(numbers)) == 9


def test_evaluation_says_that_there_are_no_labels(shards):
    with pytest.raises(ValueError, match=r"`labelled`.*Received: .*shards"):
        score_videos(FirstFrame(), shards, "train")


class TestInspection:
    def test_summary_counts_under_the_empty_name(self, shards):
        for opened in (
            ShardSet.open(shards),
            ShardSet.of_files({"train": ShardSet.open(shards).paths("train")}, []),
        ):
            summary = summarize(opened)
            assert summary.videos == {"train": {"": 9}, "val": {"": 0}, "test": {"": 0}}
            assert summary.frame_sizes == {(48, 32): 9}

    def test_sheet_has_one_row(self, shards, tmp_path):
        assert contact_sheet(ShardSet.open(shards), tmp_path / "sheet.png", per_class=4) == 0
        with Image.open(tmp_path / "sheet.png") as image:
            assert image.width == 8 + 4 * 168
            heading = np.asarray(image.convert("L"))[:24]
        assert heading.min() < 128  # says that there are no labels

    def test_command(self, films, tmp_path, capsys):
        shards, sheet = str(tmp_path / "s"), str(tmp_path / "sheet.png")
        command = ["convert", str(films), shards, "--layout=unlabelled", "--short-side=32"]
        assert cli.main([*command, "--split-ratio=0.5", "--seed=1", "--workers=1"]) == 0
        counts = ShardSet.open(shards)
        train, test = (counts.num_videos(split) for split in ("train", "test"))
        assert train + test == 9
        assert f"{train} train, {test} test videos" in capsys.readouterr().out
        assert cli.main(["inspect", shards, "--verify", "--sheet", sheet]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["class", "train", "val", "test"]
        assert lines[1].split() == [str(train), "0", str(test)]
        assert os.path.getsize(sheet) > 0

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types
import uuid

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data import ShardSet, load_clips
from keras_t3d.data.shards.object_store import Address, is_address
from keras_t3d.data.shards.record import LABEL_TEXT, VIDEO_ID
from keras_t3d.data.shards.record_file import RecordWriter, record_offsets
from keras_t3d.errors import MissingPackageError


def num_records(path):
    return sum(1 for _ in tf.data.TFRecordDataset(path))


def all_batches(dataset):
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def same_batches(first, second):
    """Whether two datasets give the same bytes, and at least one batch."""
    first, second = all_batches(first), all_batches(second)
    return 0 < len(first) == len(second) and all(
        np.array_equal(a, b)
        for parts in zip(first, second, strict=True)
        for a, b in zip(*parts, strict=True)
    )


class TestExamples:
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_are_the_records_of_each_path(self, shards, split):
        opened = ShardSet.open(shards)
        assert opened.examples(split) == [num_records(path) for path in opened.paths(split)]
        assert sum(opened.examples(split)) == opened.num_videos(split) > 0

    def test_empty_shards_are_left_out_of_both(self, shards, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        manifest = json.loads((copy / "manifest.json").read_text())
        empty = {"name": "train-empty.tfrecord", "split": "train", "examples": 0, "bytes": 0}
        manifest["shards"].insert(0, {**empty, "sha256": "0"})
        (copy / "manifest.json").write_text(json.dumps(manifest))
        (copy / "train-empty.tfrecord").touch()
        opened, before = ShardSet.open(copy), ShardSet.open(shards)
        assert opened.examples("train") == before.examples("train")
        assert len(opened.paths("train")) == len(before.paths("train"))

    def test_of_an_absent_split_are_refused(self, shards):
        with pytest.raises(ValueError, match="val"):
            ShardSet.open(shards).examples("val")


@pytest.fixture
def in_memory(shards):
    """The shards in TensorFlow's own store, whose scheme needs no further package."""
    address = f"ram://shards-{uuid.uuid4().hex}/two"
    for path in shards.iterdir():
        with tf.io.gfile.GFile(f"{address}/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    return address


def rewrite(address, content):
    tf.io.gfile.remove(address)  # what is written to a file in memory is added to it
    with tf.io.gfile.GFile(address, "wb") as file:
        file.write(content)


class TestAddresses:
    def test_read_as_the_folder_does(self, shards, in_memory, spec):
        local, remote = ShardSet.open(shards), ShardSet.open(in_memory + "/")
        assert remote.class_names == local.class_names
        assert (remote.manifest, remote.splits) == (local.manifest, local.splits)
        assert remote.short_side == local.short_side == 40
        for split in local.splits:
            names = [pathlib.Path(path).name for path in local.paths(split)]
            assert remote.paths(split) == [f"{in_memory}/{name}" for name in names]
            assert remote.examples(split) == local.examples(split)
        assert same_batches(load_clips(remote, "test", spec, 3), load_clips(local, "test", spec, 3))

    def test_a_cut_shard_is_named(self, in_memory):
        victim = ShardSet.open(in_memory).paths("train")[0]
        with tf.io.gfile.GFile(victim, "rb") as file:
            content = file.read()
        rewrite(victim, content[:-10])
        expected = f"{victim} has {len(content) - 10} bytes instead of {len(content)}"
        with pytest.raises(ValueError, match=expected):
            ShardSet.open(in_memory)
        tf.io.gfile.remove(victim)
        with pytest.raises(ValueError, match=victim):
            ShardSet.open(in_memory)

    def test_a_damaged_shard_is_found(self, in_memory):
        opened = ShardSet.open(in_memory)
        assert opened.damaged_shards() == []
        victim = opened.paths("train")[1]
        with tf.io.gfile.GFile(victim, "rb") as file:
            content = bytearray(file.read())
        content[len(content) // 2] ^= 0xFF
        rewrite(victim, bytes(content))
        assert opened.damaged_shards() == [victim]

    def test_an_empty_place_says_how_to_fill_it(self):
        with pytest.raises(ValueError, match=r"manifest\.json.*`keras-t3d convert"):
            ShardSet.open("ram://nothing/here")

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorflow_io", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'keras-t3d\[io\]'"):
            ShardSet.open("store://bucket/folder")

    def test_a_package_that_does_not_fit_tensorflow(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorflow_io", types.ModuleType("tensorflow_io"))
        with pytest.raises(ValueError, match=r"Received: store://"):
            ShardSet.open("store://bucket/folder")

    @pytest.mark.parametrize("wrong", ["s3://", "s3:///", "gs://"])
    def test_without_a_bucket_are_refused(self, wrong):
        with pytest.raises(ValueError, match="s3://bucket/folder"):
            ShardSet.open(wrong)

    def test_that_pathlib_shortened_are_refused(self):
        with pytest.raises(ValueError, match="Received: s3:/bucket/folder"):
            ShardSet.open(pathlib.PurePosixPath("s3://bucket/folder"))

    @given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
    def test_are_told_from_paths_by_their_scheme(self, name):
        assert is_address(f"gs://{name}")
        assert not is_address(f"./{name}")
        assert not is_address(f"/{name}")

    def test_where_nothing_lies_give_no_bytes(self):
        with pytest.raises(FileNotFoundError, match="ram://nothing/file"):
            Address("ram://nothing/file").read_bytes()
        with pytest.raises(FileNotFoundError, match="ram://nothing/file"):
            Address("ram://nothing/file").size()


@pytest.mark.process
def test_a_local_folder_is_opened_without_tensorflow(shards):
    program = (
        "import sys; from keras_t3d.data import ShardSet; "
        f"ShardSet.open({str(shards)!r}); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.fixture(scope="module")
def foreign(shards, tmp_path_factory):
    """The same records as another program would leave them: other names, less context."""
    folder = tmp_path_factory.mktemp("foreign")
    files = {}
    opened = ShardSet.open(shards)
    for split in opened.splits:
        files[split] = []
        for number, path in enumerate(opened.paths(split)):
            (folder / split).mkdir(exist_ok=True)
            copy = folder / split / f"clips.{number}"
            with RecordWriter(copy) as writer:
                for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                    example = tf.train.SequenceExample.FromString(record)
                    for name in (LABEL_TEXT, VIDEO_ID, "image/height", "image/width", "video/fps"):
                        del example.context.feature[name]
                    writer.write(example.SerializeToString())
            files[split].append(copy)
    return files


class TestFilesOfOthers:
    CLASSES = ("bright", "dark")

    def test_are_counted_and_read(self, shards, foreign, spec):
        opened, ours = ShardSet.of_files(foreign, self.CLASSES), ShardSet.open(shards)
        assert (opened.class_names, opened.short_side) == (self.CLASSES, 40)
        assert opened.splits == ["train", "test"]
        for split, paths in foreign.items():
            assert opened.paths(split) == list(map(str, paths))
            assert opened.examples(split) == ours.examples(split)
            assert opened.num_videos(split) == ours.num_videos(split)
        assert opened.folder == foreign["test"][0].parents[1]
        assert same_batches(load_clips(opened, "test", spec, 3), load_clips(ours, "test", spec, 3))

    def test_keep_the_short_side_and_the_order_given(self, foreign):
        backwards = {split: paths[::-1] for split, paths in foreign.items()}
        opened = ShardSet.of_files(backwards, self.CLASSES, short_side=36)
        assert opened.short_side == 36
        assert opened.paths("train") == list(map(str, backwards["train"]))

    def test_may_have_splits_of_other_names(self, foreign):
        opened = ShardSet.of_files({"tiny": foreign["test"], **foreign}, self.CLASSES)
        assert opened.splits == ["train", "test", "tiny"]
        assert opened.num_videos("tiny") == 8

    def test_have_no_manifest(self, foreign):
        opened = ShardSet.of_files(foreign, self.CLASSES)
        with pytest.raises(ValueError, match=r"manifest\.json.*of_files"):
            _ = opened.manifest
        assert "of_files" in opened.labels

    def test_that_are_damaged_are_found_by_their_records(self, foreign, tmp_path):
        copy = shutil.copytree(foreign["train"][0].parent, tmp_path / "copy")
        paths = sorted(copy.iterdir())
        opened = ShardSet.of_files({"train": paths}, self.CLASSES)
        assert opened.damaged_shards() == []
        content = bytearray(paths[1].read_bytes())
        content[-30] ^= 0xFF
        paths[1].write_bytes(content)
        assert opened.damaged_shards() == [str(paths[1])]

    def test_without_records_are_skipped(self, foreign, tmp_path):
        (tmp_path / "empty").touch()
        files = {"test": [tmp_path / "empty", *foreign["test"]]}
        opened = ShardSet.of_files(files, self.CLASSES)
        assert opened.paths("test") == list(map(str, foreign["test"]))
        with pytest.raises(ValueError, match=r"Received: .*empty"):
            ShardSet.of_files({"test": [tmp_path / "empty"]}, self.CLASSES)

    def test_that_are_cut_compressed_or_missing_are_named(self, foreign, tmp_path):
        whole = foreign["test"][0].read_bytes()
        last = int(record_offsets(foreign["test"][0])[-1])
        cut = tmp_path / "cut"
        for content in (whole[: last + 5], whole[:-1], b"\x1f\x8b" + whole):
            cut.write_bytes(content)
            with pytest.raises(ValueError, match=f"{cut} .*uncompressed TFRecords"):
                ShardSet.of_files({"test": [cut]}, self.CLASSES)
        with pytest.raises(FileNotFoundError, match="absent"):
            ShardSet.of_files({"test": [tmp_path / "absent"]}, self.CLASSES)

    def test_of_another_layout_are_named(self, tmp_path):
        path = tmp_path / "pictures"
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"jpeg"]))
        for record in (b"", b"text", tf.train.SequenceExample().SerializeToString()):
            with RecordWriter(path) as writer:
                writer.write(record)
            with pytest.raises(ValueError, match=str(path)):
                ShardSet.of_files({"test": [path]}, self.CLASSES)
        example = tf.train.SequenceExample()
        example.feature_lists.feature_list["image/encoded"].feature.append(feature)
        with RecordWriter(path) as writer:
            writer.write(example.SerializeToString())
        with pytest.raises(ValueError, match=str(path)):
            ShardSet.of_files({"test": [path]}, self.CLASSES)

    @pytest.mark.parametrize(
        "wrong", [{}, {"train": []}, {"train": "a.tfrecord"}, ["a.tfrecord"], "a.tfrecord"]
    )
    def test_wrong_files_are_refused_with_an_example(self, wrong):
        with pytest.raises(ValueError, match=r"train-0\.tfrecord.*Received"):
            ShardSet.of_files(wrong, self.CLASSES)

    @pytest.mark.parametrize(
        "wrong", ["", "bright", ("bright", "bright"), ("bright", ""), ("bright", 3)]
    )
    def test_wrong_class_names_are_refused(self, foreign, wrong):
        with pytest.raises(ValueError, match="`class_names`"):
            ShardSet.of_files(foreign, wrong)

    @pytest.mark.parametrize("wrong", [0, -1, 40.0, "40"])
    def test_a_wrong_short_side_is_refused(self, foreign, wrong):
        with pytest.raises(ValueError, match="short_side"):
            ShardSet.of_files(foreign, self.CLASSES, short_side=wrong)

    def test_the_same_file_twice_is_refused(self, foreign):
        path = foreign["test"][0]
        with pytest.raises(ValueError, match="`files`"):
            ShardSet.of_files({"test": [path, os.path.relpath(path)]}, self.CLASSES)

    def test_files_in_object_stores_are_refused(self):
        with pytest.raises(ValueError, match="`files`"):
            ShardSet.of_files({"test": ["s3://bucket/a.tfrecord"]}, self.CLASSES)


class TestShardSet:
    def test_a_cut_shard_is_named(self, shards, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        victim = sorted(copy.glob("train*"))[0]
        victim.write_bytes(victim.read_bytes()[:-10])
        with pytest.raises(ValueError, match=victim.name):
            ShardSet.open(copy)
        victim.unlink()
        with pytest.raises(ValueError, match=victim.name):
            ShardSet.open(copy)

    def test_a_label_missing_from_labels_txt(self, shards, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        (copy / "labels.txt").write_text("bright\n")
        with pytest.raises(ValueError, match=r"labels\.txt .* 2 "):
            ShardSet.open(copy)

    def test_a_folder_without_shards_says_how_to_make_them(self, tmp_path):
        with pytest.raises(ValueError, match="keras-t3d convert"):
            ShardSet.open(tmp_path)
        (tmp_path / "manifest.json").write_text("{")
        (tmp_path / "labels.txt").write_text("a\n")
        with pytest.raises(ValueError, match=r"manifest\.json"):
            ShardSet.open(tmp_path)

    def test_an_unknown_split_names_the_known_ones(self, shards):
        with pytest.raises(ValueError, match=r"\['train', 'test'\]"):
            ShardSet.open(shards).paths("val")

import numpy as np
import pytest

from keras_t3d.data.frame_features import FrameFeatures, is_written, write_shard


@pytest.fixture
def folder(tmp_path):
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    write_shard(tmp_path, "train-00000-of-00002.tfrecord", ["a", "b"], [rows[:3], rows[3:5]])
    write_shard(tmp_path, "train-00001-of-00002.tfrecord", ["c"], [rows[5:]])
    write_shard(tmp_path, "test-00000-of-00001.tfrecord", ["d"], [rows[:1]])
    return tmp_path


def test_means_of_a_records_frames(folder):
    features = FrameFeatures.open(folder)
    assert features.width == 3
    assert features.mean("a", np.array([0, 2])).tolist() == [3, 4, 5]
    assert features.mean("b", np.array([0, 0, 1])).tolist() == [10, 11, 12]
    assert features.mean("c", np.array([2])).tolist() == [21, 22, 23]
    assert features.mean("c", np.array([2])).dtype == np.float32


def test_only_the_splits_asked_for(folder):
    features = FrameFeatures.open(folder, ["test"])
    assert features.mean("d", np.array([0])).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"Received: frames up to 0 of the record 'a'"):
        features.mean("a", np.array([0]))


@pytest.mark.parametrize("frames", [[3], [-1], [0, 7]])
def test_a_frame_that_is_not_there(folder, frames):
    with pytest.raises(ValueError, match="made of other shards.* holds 3"):
        FrameFeatures.open(folder).mean("a", np.array(frames))


def test_a_shard_without_its_index_is_not_written(folder):
    assert is_written(folder, "train-00001-of-00002.tfrecord")
    (folder / "train-00001-of-00002.json").unlink()
    assert not is_written(folder, "train-00001-of-00002.tfrecord")


def test_refuses_two_records_of_one_key_and_an_empty_folder(tmp_path):
    rows = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"Received: \['a'\] twice in train-0"):
        write_shard(tmp_path, "train-0.tfrecord", ["a", "a"], [rows, rows])
    assert not list(tmp_path.glob("train*"))
    for shard in ("train-0.tfrecord", "train-1.tfrecord"):
        write_shard(tmp_path / "shards", shard, ["a"], [rows])
    with pytest.raises(ValueError, match="Received: 'a' twice in"):
        FrameFeatures.open(tmp_path / "shards")
    with pytest.raises(ValueError, match="Expected a folder of frame features"):
        FrameFeatures.open(tmp_path)

import numpy as np
import pytest

from keras_t3d.data import FrameFeatures
from keras_t3d.data.clips.frame_features import is_written, shard_features


def write(folder, name, shard, records):
    """Writes rows by key, all of a shard at once, as the teacher's batches may."""
    with shard_features(folder, name, shard) as features:
        for key, rows in records.items():
            features.begin(key, len(rows))
        features.add(np.concatenate(list(records.values())))


@pytest.fixture
def folder(tmp_path):
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    write(tmp_path, "train-00000", "a.tfrecord", {"a": rows[:3], "b": rows[3:5]})
    write(tmp_path, "train-00001", "b.tfrecord", {"c": rows[5:]})
    write(tmp_path, "test-00000", "c.tfrecord", {"d": rows[:1]})
    return tmp_path


def test_means_of_a_records_frames(folder):
    features = FrameFeatures.open(folder)
    assert features.width == 3
    assert features.mean("a", np.array([0, 2])).tolist() == [3, 4, 5]
    assert features.mean("b", np.array([0, 0, 1])).tolist() == [10, 11, 12]
    assert features.mean("c", np.array([2])).tolist() == [21, 22, 23]
    assert features.mean("c", np.array([2])).dtype == np.float32


def test_opens_only_the_requested_splits(folder):
    features = FrameFeatures.open(folder, ["test"])
    assert features.mean("d", np.array([0])).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"Received: .* 0 of .*'a'"):
        features.mean("a", np.array([0]))


@pytest.mark.parametrize("frames", [[3], [-1], [0, 7]])
def test_missing_frames_raise(folder, frames):
    with pytest.raises(ValueError, match=r"Received: .*'a'.* 3"):
        FrameFeatures.open(folder).mean("a", np.array(frames))


def test_is_written_checks_shard_and_records(folder):
    assert is_written(folder, "train-00001", "b.tfrecord", 1)
    assert not is_written(folder, "train-00001", "b.tfrecord", 2)  # a record was left out
    assert not is_written(folder, "train-00001", "a.tfrecord", 1)
    assert not is_written(folder, "train-00002", "b.tfrecord", 1)


@pytest.mark.parametrize("damage", ["no index", "empty index", "short rows", "no rows"])
def test_damaged_features_are_never_read(folder, damage):
    index, rows = folder / "train-00001.json", folder / "train-00001.f16"
    if damage == "no index":
        index.unlink()
    elif damage == "empty index":
        index.write_text("")
    elif damage == "short rows":
        rows.write_bytes(rows.read_bytes()[:-2])
    else:
        rows.unlink()
    assert not is_written(folder, "train-00001", "b.tfrecord", 1)
    if damage == "no index":
        with pytest.raises(ValueError, match="'c'"):
            FrameFeatures.open(folder).mean("c", np.array([0]))
    else:
        with pytest.raises(ValueError, match=r"damaged: remove .*train-00001\.json"):
            FrameFeatures.open(folder)


def test_errors_leave_no_files(tmp_path):
    rows = np.zeros((2, 3), np.float32)
    with (
        pytest.raises(ValueError, match=r"Received: 'a' .*s\.tfrecord"),
        shard_features(tmp_path, "train-0", "s.tfrecord") as features,
    ):
        for _ in range(2):
            features.begin("a", 2)
            features.add(rows)
    with pytest.raises(ValueError, match=r"100000.*'a'"):
        write(tmp_path, "train-0", "s.tfrecord", {"a": rows + 1e5})
    assert list(tmp_path.iterdir()) == []
    for number in (0, 1):
        write(tmp_path, f"train-{number}", f"{number}.tfrecord", {"a": rows})
    with pytest.raises(ValueError, match="Received: 'a'"):
        FrameFeatures.open(tmp_path)
    with pytest.raises(ValueError, match="`folder`"):
        FrameFeatures.open(tmp_path, ["test"])

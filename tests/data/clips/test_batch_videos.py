import itertools
import re

import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.data import Augmentation, ShardSet
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter, record_offsets
from tests.conftest import counting_frames
from tests.data.clips.readers import load_clips, reader
from tests.data.written_shards import jpeg, shard_set

pytestmark = pytest.mark.pipeline

TINY = ClipSpec(num_frames=2, frame_stride=1, resize=16, crop=16)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """29 videos v0 to v28; the label of each is its number."""
    return shard_set(tmp_path_factory.mktemp("many"), [3, 0, 7, 1, 9, 2, 5, 2])


def batch_videos(shards, split, *, batch_size, step, repeats=1, **arguments):
    """The ids of a batch's videos, without reading the batch."""
    augmentation = Augmentation(repeats=repeats)
    return reader(
        shards, split, TINY, batch_size, training=True, augmentation=augmentation, **arguments
    ).batch_videos(step)


def loaded(shards, steps, **options):
    """The labels of the first batches, over the epochs, as ids of videos."""
    clips = load_clips(shards, "train", TINY, 4, training=True, repeat=True, **options)
    return [
        [f"v{label}" for label in labels.numpy()] for _, labels in itertools.islice(clips, steps)
    ]


class TestBatchVideos:
    @pytest.mark.parametrize(("seed", "shuffle_buffer"), [(0, 256), (3, 5)])
    def test_equal_those_of_load_clips_over_epochs(self, many, seed, shuffle_buffer):
        options = {"seed": seed, "shuffle_buffer": shuffle_buffer}
        named = [
            batch_videos(many, "train", batch_size=4, step=step, **options) for step in range(16)
        ]
        assert named == loaded(many, 16, **options)  # 7 steps an epoch
        assert named[:7] != named[7:14]

    def test_first_batch_after_resuming(self, many):
        (first,) = loaded(many, 1, first_step=11)
        assert batch_videos(many, "train", batch_size=4, step=11, seed=0) == first

    def test_each_repeated_video_is_named_once(self, many):
        batches = loaded(many, 20, augmentation=Augmentation(repeats=2))  # 14 steps an epoch
        for step, batch in enumerate(batches):
            named = batch_videos(many, "train", batch_size=4, step=step, seed=0, repeats=2)
            assert np.repeat(named, 2).tolist() == batch

    def test_accepts_a_folder(self, shards):
        named = batch_videos(shards, "train", batch_size=20, step=1, seed=0)
        assert len(set(named)) == 20
        assert all(re.fullmatch(r"train/(bright|dark)/\1_train_\d\.mp4", name) for name in named)

    def test_a_record_without_id_is_named_by_file_and_byte(self, tmp_path):
        video = EncodedVideo((jpeg(counting_frames(1, 16, 20)[0]),), 16, 20, 25.0)
        path = tmp_path / "a.tfrecord"
        with RecordWriter(path) as writer:
            writer.write(make_record(video, "", "only", 0))
        shards = ShardSet.of_files({"train": [path]}, ["only"])
        named = batch_videos(shards, "train", batch_size=1, step=0, seed=0)
        assert named == [f"{path}, byte 0"]

    @pytest.mark.parametrize(
        "wrong", [{"step": -1}, {"batch_size": 0}, {"batch_size": 30}, {"repeats": 3}]
    )
    def test_invalid_batches_raise(self, many, wrong):
        with pytest.raises(ValueError, match="Received"):
            batch_videos(many, "train", **{"batch_size": 4, "step": 0, "seed": 0, **wrong})


class TestDamage:
    @pytest.fixture
    def damaged(self, tmp_path):
        """The data of v1 of eight videos is damaged."""
        shards = shard_set(tmp_path / "damaged", [4, 4])
        path = shards.shards[0].path
        content = bytearray(path.read_bytes())
        content[record_offsets(path)[1] + 40] ^= 0xFF
        path.write_bytes(content)
        return shards

    @pytest.mark.filterwarnings("ignore:1 of 8 records")
    def test_skipped_records_are_in_no_batch(self, damaged):
        batches = loaded(damaged, 5, on_damage="skip")
        named = [
            batch_videos(damaged, "train", batch_size=4, step=step, seed=0, on_damage="skip")
            for step in range(5)
        ]
        assert named == batches
        assert (
            {"v0", "v2", "v7"}
            <= {*itertools.chain(*named)}
            <= {f"v{n}" for n in range(8) if n != 1}
        )

    def test_reads_no_other_records_and_names_a_damaged_one(self, damaged):
        labels = epoch_order([4, 4], 0, 0, 256) @ [4, 1]
        step = labels.tolist().index(1) // 4  # of two
        with pytest.raises(ValueError, match=r"train-00000-of-00002\.tfrecord, record 1: "):
            batch_videos(damaged, "train", batch_size=4, step=step, seed=0)
        assert len(batch_videos(damaged, "train", batch_size=4, step=1 - step, seed=0)) == 4

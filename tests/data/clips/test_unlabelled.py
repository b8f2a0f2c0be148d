import dataclasses
import itertools

import numpy as np
import pytest

from keras_t3d import ClipSpec, data
from keras_t3d.data import Augmentation, FrameFeatures, ShardSet
from keras_t3d.data.clips.record_keys import record_key, source_number
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.labels import LABEL_MISMATCH
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter, record_offsets
from keras_t3d.data.shards.shard import Shard
from keras_t3d.errors import InvalidArgumentError
from tests import forked
from tests.conftest import NEEDS_JAX, counting_frames, frame_numbers
from tests.data.clips.readers import (
    load_arrays,
    load_clips,
    load_unlabelled_arrays,
    load_unlabelled_clips,
    reader,
)
from tests.data.written_shards import jpeg, shard_set

pytestmark = pytest.mark.pipeline

TINY = ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
EXAMPLES = [3, 1, 4, 2, 5] + [1] * 4
# Of 19 records: two parts and two spans of one video each, two that only look alike, no ids.
IDS = [
    "a.mp4#0", "b", "s.mp4@0-1.5", "a.mp4#1", "s.mp4@2-3#0", "", "c#1.mp4", "c#2.mp4",
    *(f"odd \udcff{number}.mp4" for number in range(11)),
]  # fmt: skip


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Labelled records `v0` to `v18`, the label of each its number."""
    return shard_set(tmp_path_factory.mktemp("many"), EXAMPLES)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """Records without labels, with the ids above; two shards."""
    folder = tmp_path_factory.mktemp("unlabelled")
    frames = tuple(map(jpeg, counting_frames(8, 16, 20)))
    shards = []
    for index, ids in enumerate((IDS[:9], IDS[9:])):
        path = folder / f"train-{index:05d}-of-00002.tfrecord"
        with RecordWriter(path) as writer:
            for video_id in ids:
                writer.write(make_record(EncodedVideo(frames, 16, 20, 25.0), video_id, "", -1))
        shards.append(Shard(path, "train", len(ids)))
    return ShardSet(folder, (), 16, tuple(shards))


class KeyAndFrames(FrameFeatures):
    """Its mean tells for which record and frames it was asked."""

    def __init__(self):
        self.width = 5

    def mean(self, key, frames):
        assert isinstance(key, str)
        assert frames.shape == (4,)
        return np.array([source_number(f"{key} as a whole") % 2**22, *frames], np.float32)


def batches(dataset, count=None):
    found = itertools.islice(dataset, count)
    return [{name: np.asarray(part) for name, part in batch.items()} for batch in found]


def labelled(dataset, count=None):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


class TestTensorflowForm:
    @pytest.mark.parametrize(
        "options",
        [
            {"training": True, "repeat": True, "first_step": 5, "shuffle_buffer": 5, "seed": 2},
            {"training": True, "augmentation": Augmentation(repeats=2, hue=0.3), "cache": True},
            {"training": False, "pad_last_batch": True},
        ],
        ids=str,
    )
    def test_clips_equal_labelled_clips(self, many, options):
        with_labels = labelled(load_clips(many, "train", TINY, 4, **options), 7)
        without = batches(load_unlabelled_clips(many, "train", TINY, 4, **options), 7)
        assert len(without) == len(with_labels) >= 4
        for (clips, labels), batch in zip(with_labels, without, strict=True):
            assert batch.keys() == {"clips", "videos"}
            assert batch["clips"].dtype == np.uint8
            assert np.array_equal(batch["clips"], clips)
            ids, counts = labels, np.ones(len(clips), bool)
            if options.get("pad_last_batch"):
                ids, counts = labels["labels"], labels["weights"] > 0
            numbers = np.array([source_number(f"v{label}") for label in ids])
            assert batch["videos"].dtype == np.int32
            assert batch["videos"].tolist() == np.where(counts, numbers, -1).tolist()

    def test_padding_has_video_number_minus_one(self, many):
        dataset = load_unlabelled_clips(many, "train", TINY, 8, pad_last_batch=True)
        last = batches(dataset)[-1]
        assert last["clips"].shape[0] == 8
        assert (last["videos"] == -1).tolist() == [False] * 3 + [True] * 5

    @pytest.mark.parametrize("training", [True, False])
    def test_workers_share_each_batch(self, many, training):
        options = {"training": training, "pad_last_batch": True, "transforms": [KeyAndFrames()]}
        whole, *parts = (
            batches(load_unlabelled_clips(many, "train", TINY, 6, worker=worker, **options))
            for worker in ((0, 1), (0, 2), (1, 2))
        )
        assert len(whole) == (3 if training else 4)
        for batch, *shares in zip(whole, *parts, strict=True):
            for name, values in batch.items():
                assert np.array_equal(np.concatenate([share[name] for share in shares]), values)

    def test_shapes_are_known_before_a_batch_is_read(self, many):
        options = {"transforms": [KeyAndFrames()]}
        training = load_unlabelled_clips(many, "train", TINY, 4, training=True, **options)
        padded = load_unlabelled_clips(many, "train", TINY, 4, pad_last_batch=True, **options)
        for dataset, steps in ((training, 4), (padded, 5)):
            shapes = {name: tuple(spec.shape) for name, spec in dataset.element_spec.items()}
            assert shapes == {
                "clips": (4, *TINY.input_shape), "videos": (4,), "frame_features": (4, 5),
            }  # fmt: skip
            assert dataset.cardinality() == steps


class TestVideos:
    def test_parts_and_spans_of_one_video_have_its_number(self, unlabelled):
        (batch,) = batches(load_unlabelled_clips(unlabelled, "train", TINY, 19))
        numbers = dict(zip(IDS, batch["videos"].tolist(), strict=True))
        assert numbers["a.mp4#0"] == numbers["a.mp4#1"] == source_number("a.mp4")
        assert numbers["s.mp4@0-1.5"] == numbers["s.mp4@2-3#0"] == source_number("s.mp4")
        first_frame = jpeg(counting_frames(1, 16, 20)[0])
        assert numbers[""] == source_number(record_key("", first_frame))
        assert len(set(numbers.values())) == 17

    def test_labels_are_not_read(self, many):
        other = dataclasses.replace(many, class_names=("class 1", "class 0"))
        with pytest.raises(ValueError, match=LABEL_MISMATCH):
            load_arrays(other, "train", TINY, 4)[0]
        (expected,) = batches(load_unlabelled_clips(many, "train", TINY, 19))
        for class_names in ((), ("class 1", "class 0")):
            shards = dataclasses.replace(many, class_names=class_names)
            (batch,) = batches(load_unlabelled_clips(shards, "train", TINY, 19))
            own = load_unlabelled_arrays(shards, "train", TINY, 19)[0]
            assert np.array_equal(batch["clips"], expected["clips"])
            assert batch["videos"].tolist() == own["videos"].tolist()
            assert batch["videos"].tolist() == expected["videos"].tolist()


class TestFrameFeatures:
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("load", [load_unlabelled_clips, load_unlabelled_arrays])
    def test_are_the_means_of_the_clips_own_frames(self, unlabelled, load, training):
        features = KeyAndFrames()
        dataset = load(
            unlabelled, "train", TINY, 6, training=training, seed=1, transforms=[features]
        )
        first_frame = jpeg(counting_frames(1, 16, 20)[0])
        known = {}
        for video_id in IDS:
            key = record_key(video_id, first_frame)
            known[features.mean(key, np.zeros(4))[0]] = source_number(key)
        assert len(known) == 19  # the stand-in tells all records apart
        seen = set()
        for batch in batches(dataset):
            means = batch["frame_features"]
            assert means.dtype == np.float32
            for clip, video, mean in zip(batch["clips"], batch["videos"], means, strict=True):
                assert mean[1:].tolist() == frame_numbers(clip)
                assert known[mean[0]] == video
                seen.add(tuple(mean))
        assert len(seen) == (18 if training else 19)
        starts = {mean[1] for mean in seen}
        assert starts == ({0, 1, 2, 3, 4} if training else {2})

    def test_a_record_without_features_is_an_error(self, many):
        class Other(KeyAndFrames):
            def mean(self, key, frames):
                raise ValueError(f"no features of {key}")

        with pytest.raises(ValueError, match="v0"):
            load_unlabelled_arrays(many, "train", TINY, 4, transforms=[Other()])[0]
        import tensorflow as tf

        dataset = load_unlabelled_clips(many, "train", TINY, 4, transforms=[Other()])
        with (
            pytest.raises(tf.errors.InvalidArgumentError, match="v0"),
            damage_named(many),
        ):
            batches(dataset)


class TestNumpyForm:
    @pytest.mark.parametrize(
        "options",
        [
            {"training": True, "repeat": True, "first_step": 5, "shuffle_buffer": 5},
            {"training": True, "sampling": "segments", "augmentation": Augmentation(repeats=2)},
            {"training": True, "target_fps": 9.0, "short": "pad", "worker": (1, 2)},
            {"training": False, "pad_last_batch": True},
        ],
        ids=str,
    )
    def test_equals_the_tensorflow_form(self, unlabelled, options):
        options["transforms"] = [KeyAndFrames()]
        expected = batches(load_unlabelled_clips(unlabelled, "train", TINY, 4, **options), 9)
        dataset = load_unlabelled_arrays(unlabelled, "train", TINY, 4, **options)
        assert len(expected) >= 4
        for index, batch in enumerate(expected):
            own = dataset[index]
            assert own.keys() == batch.keys()
            for name in ("videos", "frame_features"):
                assert own[name].dtype == batch[name].dtype
                assert np.array_equal(own[name], batch[name])
            for clip, own_clip in zip(batch["clips"], own["clips"], strict=True):
                assert frame_numbers(own_clip) == frame_numbers(clip)

    def test_has_the_pixels_of_labelled_clips(self, many):
        options = {"training": True, "repeat": True, "seed": 3}
        with_labels = load_arrays(many, "train", TINY, 4, **options)
        without = load_unlabelled_arrays(many, "train", TINY, 4, **options)
        assert without.steps_per_epoch == with_labels.steps_per_epoch == 4
        for index in range(6):
            clips, labels = with_labels[index]
            assert np.array_equal(without[index]["clips"], clips)
            numbers = [source_number(f"v{label}") for label in labels]
            assert without[index]["videos"].tolist() == numbers

    def test_is_read_ahead_in_order(self, many):
        dataset = load_unlabelled_arrays(many, "train", TINY, 4, training=True, repeat=True)
        ahead = batches(dataset.read_ahead(threads=3, batches=4), 9)
        for index, batch in enumerate(ahead):
            assert np.array_equal(batch["clips"], dataset[index]["clips"])
            assert batch["videos"].tolist() == dataset[index]["videos"].tolist()

    def test_each_epoch_is_the_next(self, many):
        dataset = load_unlabelled_arrays(many, "train", TINY, 4, training=True)
        endless = load_unlabelled_arrays(many, "train", TINY, 4, training=True, repeat=True)
        for epoch in range(2):
            assert dataset.num_batches == 4
            for step in range(4):
                expected = endless[4 * epoch + step]["videos"]
                assert dataset[step]["videos"].tolist() == expected.tolist()
            dataset.on_epoch_end()

    def test_keras_accepts_the_batches(self, many):
        import keras

        seen = []

        class Noted(keras.Model):
            def train_step(self, data):
                seen.append(data["videos"].numpy().tolist())
                return {"loss": 0.0}

        model = Noted()
        model.compile(run_eagerly=True)
        dataset = load_unlabelled_arrays(many, "train", TINY, 4, training=True, repeat=True)
        model.fit(dataset, steps_per_epoch=6, verbose=0, shuffle=False)
        assert seen == [dataset[index]["videos"].tolist() for index in range(6)]

    def test_videos_of_a_batch_are_named(self, many):
        dataset = load_unlabelled_arrays(many, "train", TINY, 4, training=True, seed=5)
        names = reader(many, "train", TINY, 4, training=True, seed=5).batch_videos(2)
        assert [source_number(name) for name in names] == dataset[2]["videos"].tolist()


READERS = [load_unlabelled_clips, load_unlabelled_arrays]


class TestErrors:
    @pytest.mark.parametrize("load", READERS)
    @pytest.mark.parametrize(
        ("augmentation", "message"),
        [
            (Augmentation(mixup=0.2), "`mixup`"),
            (Augmentation(cutmix=1.0), "`cutmix`"),
            (Augmentation(no_flip_classes=("class 1",)), "`no_flip_classes`"),
        ],
    )
    def test_augmentations_that_need_labels_raise(self, many, load, augmentation, message):
        with pytest.raises(ValueError, match=message):
            load(many, "train", TINY, 4, training=True, augmentation=augmentation)

    @pytest.mark.parametrize("load", READERS)
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"batch_size": 0}, "batch_size"),
            ({"batch_size": 30}, "19 videos"),
            ({"worker": (1, 3)}, "worker"),
            ({"sampling": "all"}, "sampling"),
            ({"split": "test"}, "no videos of the split 'test'"),
            ({"clip_spec": ClipSpec()}, "short_side"),
            ({"on_damage": "ignore"}, "on_damage"),
            ({"training": False, "worker": (0, 2)}, "pad_last_batch"),
        ],
        ids=str,
    )
    def test_wrong_arguments_are_refused(self, many, load, wrong, message):
        options = {"split": "train", "clip_spec": TINY, "batch_size": 4, "training": True, **wrong}
        with pytest.raises(ValueError, match=message):
            load(many, **options)

    @pytest.mark.parametrize("training", [True, False])
    def test_missing_labels_are_reported(self, unlabelled, training):
        for load in (load_clips, load_arrays):
            with pytest.raises(ValueError, match=r"`labelled`.*Received"):
                load(unlabelled, "train", TINY, 4, training=training)
        with pytest.raises(InvalidArgumentError, match="labelled"):
            reader(unlabelled, "train", TINY, 4, labelled=False).as_views()

    def damaged(self, tmp_path):
        shards = shard_set(tmp_path / "damaged", [4, 4])
        path = shards.shards[0].path
        content = bytearray(path.read_bytes())
        content[record_offsets(path)[1] + 40] ^= 0xFF
        path.write_bytes(content)
        return dataclasses.replace(shards, class_names=()), path.name

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("load", READERS)
    def test_damage_is_named(self, tmp_path, load, training):
        shards, name = self.damaged(tmp_path)
        message = rf"Damaged shard: .*{name}.*record 1: .*`on_damage`"
        with pytest.raises(ValueError, match=message), damage_named(shards):
            batches(load(shards, "train", TINY, 2, training=training))

    @pytest.mark.parametrize("form", ["as_tf_dataset", "as_py_dataset"])
    def test_damage_is_skipped(self, tmp_path, form):
        shards, name = self.damaged(tmp_path)
        with pytest.warns(UserWarning, match=rf"1 of 8 records.*{name}") as caught:
            clips = data.ClipReader(
                shards,
                "train",
                TINY,
                7,
                options=data.ReadOptions(on_damage="skip"),
                labelled=False,
            )
        assert caught[0].filename == __file__  # the line that asked for it
        (batch,) = batches(getattr(clips, form)())
        left = [0, 2, 3, 4, 5, 6, 7]
        assert batch["videos"].tolist() == [source_number(f"v{number}") for number in left]


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import keras_t3d
from keras_t3d.data import ClipReader, ShardSet
files = {"train": sys.argv[1:]}
shards = ShardSet.of_files(files, class_names=[])
spec = keras_t3d.ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
reader = ClipReader(shards, "train", spec, 4, training=True, seed=3, labelled=False)
for batch in reader.as_py_dataset():
    print(*batch["videos"])
"""


@pytest.mark.process
@pytest.mark.backend
def test_needs_no_tensorflow(unlabelled):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    words = ["-c", WITHOUT_TENSORFLOW, *unlabelled.paths("train")]
    done = forked.run(words, backend="jax", check=True)
    expected = load_unlabelled_clips(unlabelled, "train", TINY, 4, training=True, seed=3)
    assert [line.split() for line in done.stdout.splitlines()] == [
        [str(number) for number in batch["videos"]] for batch in batches(expected)
    ]

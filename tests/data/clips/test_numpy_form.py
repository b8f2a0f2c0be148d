import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import ClipSpec
from keras_t3d.clips import take_view
from keras_t3d.data import Augmentation
from keras_t3d.data.clips.numpy_phases import resize_bilinear
from keras_t3d.data.shards.labels import LABEL_MISMATCH
from keras_t3d.data.shards.record_file import record_offsets
from keras_t3d.data.shards.record_tensors import parse_record
from tests import forked
from tests.conftest import counting_frames, frame_numbers
from tests.data.clips.readers import load_arrays, load_clips
from tests.data.written_shards import shard_set

pytestmark = pytest.mark.pipeline

TINY = ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
EXAMPLES = [3, 1, 4, 2, 5] + [1] * 14  # more shards than are open at a time


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return shard_set(tmp_path_factory.mktemp("many"), EXAMPLES)


@pytest.fixture(scope="module")
def colourful(tmp_path_factory):
    """Nine videos of coloured squares, of another size than the clips."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (12, 10, 14, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    return shard_set(tmp_path_factory.mktemp("colourful"), [4, 5], frames=frames, fps=20.0)


def tf_batches(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


class TestSameAsLoadClips:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"augmentation": Augmentation(repeats=2, flip=False)},
            # test_unlabelled.py compares these, too.
            pytest.param({"sampling": "segments"}, marks=pytest.mark.slow),
            pytest.param({"target_fps": 9.0}, marks=pytest.mark.slow),
            pytest.param({"short": "pad"}, marks=pytest.mark.slow),
            pytest.param({"first_step": 5}, marks=pytest.mark.slow),
        ],
        ids=str,
    )
    def test_order_frames_and_flips(self, many, options):
        options = {"training": True, "repeat": True, "shuffle_buffer": 5, "seed": 2, **options}
        expected = tf_batches(load_clips(many, "train", TINY, 4, **options), 15)
        dataset = load_arrays(many, "train", TINY, 4, **options)
        assert dataset.num_batches is None
        for index, (clips, labels) in enumerate(expected):
            own_clips, own_labels = dataset[index]
            assert (own_clips.dtype, own_labels.dtype) == (np.uint8, np.int64)
            assert own_labels.tolist() == labels.tolist()
            for clip, own in zip(clips, own_clips, strict=True):
                assert frame_numbers(own) == frame_numbers(clip)

    def test_pixels_of_windows_that_need_no_resize(self, colourful):
        """Coloured noise, the worst case: TensorFlow decodes JPEG by a fast approximation.

        At the edge of a window, besides, its decoder knows less of the colours.
        """
        spec = ClipSpec(num_frames=4, resize=40, crop=32)
        options = {"training": True, "repeat": True, "augmentation": Augmentation(crop="random")}
        dataset = load_arrays(colourful, "train", spec, 3, **options)
        for index, (clips, _) in enumerate(
            tf_batches(load_clips(colourful, "train", spec, 3, **options), 6)
        ):
            difference = abs(dataset[index][0].astype(int) - clips)
            assert difference[:, :, 1:-1, 1:-1].max() <= 16
            assert difference.mean() < 3

    @pytest.mark.parametrize("crop", ["random_resized", "corners"])
    def test_pixels_of_resized_windows(self, colourful, crop):
        spec = ClipSpec(num_frames=4, resize=40, crop=24)
        options = {"training": True, "repeat": True, "augmentation": Augmentation(crop=crop)}
        dataset = load_arrays(colourful, "train", spec, 3, **options)
        for index, (clips, _) in enumerate(
            tf_batches(load_clips(colourful, "train", spec, 3, **options), 6)
        ):
            difference = abs(dataset[index][0].astype(int) - clips)
            assert np.percentile(difference[:, :, 2:-2, 2:-2], 99.9) <= 16
            assert difference.mean() < 3

    def test_centre_views(self, colourful):
        spec = ClipSpec(num_frames=4, frame_stride=2, resize=36, crop=32)
        expected = tf_batches(load_clips(colourful, "train", spec, 4), 3)
        dataset = load_arrays(colourful, "train", spec, 4)
        assert dataset.num_batches == len(expected) == 3
        for (clips, labels), (own_clips, own_labels) in zip(expected, dataset, strict=True):
            assert own_labels.tolist() == labels.tolist()
            assert own_clips.shape == clips.shape
            assert abs(own_clips.astype(int) - clips).max() <= 16

    def test_bytes_are_the_same_where_tensorflow_decodes_accurately(self, colourful):
        spec = ClipSpec(num_frames=4, frame_stride=2, resize=36, crop=32)
        (path, _), (clips, _) = (
            colourful.paths("train"),
            load_arrays(colourful, "train", spec, 1)[0],
        )
        record = parse_record(next(iter(tf.data.TFRecordDataset(path))))
        frames = [
            tf.io.decode_jpeg(frame, channels=3, dct_method="INTEGER_ACCURATE").numpy()
            for frame in record["image/encoded"]
        ]
        assert np.array_equal(clips[0], take_view(np.stack(frames), spec))

    def test_the_resize_is_tensorflows(self):
        frames = np.random.default_rng(0).integers(0, 256, (2, 31, 45, 3), np.uint8)
        for size in ((16, 20), (31, 45), (50, 70), (40, 20)):
            expected = tf.cast(tf.image.resize(frames, size) + 0.5, tf.uint8).numpy().astype(int)
            assert abs(resize_bilinear(frames, *size).astype(int) - expected).max() <= 1


class TestEpochs:
    def test_each_is_the_next(self, many):
        whole = tf_batches(load_clips(many, "train", TINY, 5, training=True, repeat=True), 10)
        dataset = load_arrays(many, "train", TINY, 5, training=True)
        assert dataset.num_batches == 5
        labels = []
        for _ in range(2):
            labels += [batch[1].tolist() for batch in dataset]
            dataset.on_epoch_end()
        assert labels == [batch[1].tolist() for batch in whole]
        later = load_arrays(many, "train", TINY, 5, training=True, first_step=5)
        assert [batch[1].tolist() for batch in later] == labels[5:]

    def test_workers_share_each_batch(self, many):
        options = {"training": True, "repeat": True}
        whole = load_arrays(many, "train", TINY, 6, **options)
        parts = [load_arrays(many, "train", TINY, 6, worker=(i, 3), **options) for i in range(3)]
        for index in range(7):
            for place in range(2):
                joined = np.concatenate([part[index][place] for part in parts])
                assert np.array_equal(joined, whole[index][place])

    def test_batches_can_be_read_in_any_order(self, many):
        dataset = load_arrays(many, "train", TINY, 4, training=True, repeat=True)
        again = load_arrays(many, "train", TINY, 4, training=True, repeat=True)
        forwards = [dataset[index] for index in range(16)]
        for index in reversed(range(16)):
            assert np.array_equal(again[index][0], forwards[index][0])

    @pytest.mark.fit
    @pytest.mark.parametrize("threads", [pytest.param(0, marks=pytest.mark.slow), 3])
    def test_fit_trains_on_every_batch_in_order(self, many, threads):
        import keras

        trained = []

        class Noted(keras.Sequential):
            def train_step(self, data):
                trained.append(data[1].numpy().tolist())
                return super().train_step(data)

        model = Noted([keras.layers.Flatten(), keras.layers.Dense(29)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, run_eagerly=True)
        dataset = load_arrays(many, "train", TINY, 5, training=True, repeat=True)
        clips = dataset.read_ahead(threads, batches=4) if threads else dataset
        model.fit(clips, epochs=2, steps_per_epoch=5, verbose=0, shuffle=False)
        expected = tf_batches(load_clips(many, "train", TINY, 5, training=True, repeat=True), 10)
        assert trained == [labels.tolist() for _, labels in expected]

    def test_the_last_batch_is_padded_with_weight_zero(self, many):
        padded = load_arrays(many, "train", TINY, 8, pad_last_batch=True)
        expected = tf_batches(load_clips(many, "train", TINY, 8, pad_last_batch=True), 100)
        assert len(expected) == padded.num_batches
        for index, (_, labels) in enumerate(expected):
            clips, own = padded[index]
            assert len(clips) == 8
            np.testing.assert_array_equal(own["weights"], labels["weights"])
            np.testing.assert_array_equal(own["labels"], labels["labels"])

    def test_reading_ahead_ends_with_the_epoch(self, many):
        """Unless the reader repeats: `test_fit_trains_on_every_batch_in_order`."""
        for training in (True, False):
            dataset = load_arrays(many, "train", TINY, 6, training=training)
            ahead = [labels.tolist() for _, labels in dataset.read_ahead(threads=2, batches=3)]
            assert ahead == [dataset[index][1].tolist() for index in range(4 if training else 5)]


class TestErrors:
    @pytest.mark.parametrize("name", ["brightness", "erasing", "mixup", "cutmix"])
    def test_augmentations_that_need_tensorflow_raise(self, many, name):
        with pytest.raises(ValueError, match=f"`{name}`"):
            load_arrays(
                many, "train", TINY, 4, training=True, augmentation=Augmentation(**{name: 0.5})
            )

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"repeat": True, "workers": 2}, "read_ahead"),
            ({"batch_size": 0}, "batch_size"),
            ({"batch_size": 30}, "29 videos"),
            ({"first_step": 1}, "first_step"),
            ({"worker": (1, 3)}, "worker"),
            ({"sampling": "all"}, "sampling"),
            ({"training": False, "worker": (0, 2)}, "pad_last_batch"),
        ],
    )
    def test_wrong_arguments(self, many, wrong, message):
        options = {"batch_size": 4, "training": True, **wrong}
        with pytest.raises(ValueError, match=message):
            load_arrays(many, "train", TINY, **options)

    def test_damage_is_named_or_skipped(self, tmp_path):
        shards = shard_set(tmp_path / "damaged", [3, 1])
        path = shards.shards[0].path
        content = bytearray(path.read_bytes())
        content[record_offsets(path)[1] + 30] ^= 1
        path.write_bytes(content)
        dataset = load_arrays(shards, "train", TINY, 4)
        with pytest.raises(ValueError, match=rf"{path.name}, record 1: .*`on_damage`"):
            dataset[0]
        with pytest.warns(UserWarning, match="1 of 4 records"):
            dataset = load_arrays(shards, "train", TINY, 4, on_damage="skip")
        assert dataset[0][1].tolist() == [0, 2, 3]
        path.write_bytes(content[:-3])
        with pytest.raises(ValueError, match=rf"{path.name} .*ends"):
            load_arrays(shards, "train", TINY, 4)

    def test_wrong_labels_raise(self, tmp_path):
        import dataclasses

        shards = dataclasses.replace(
            shard_set(tmp_path / "s", [2]), class_names=("class 1", "class 0")
        )
        with pytest.raises(ValueError, match=LABEL_MISMATCH):
            load_arrays(shards, "train", TINY, 2)[0]

    def test_greyscale_and_short_videos(self, tmp_path):
        frames = counting_frames(3, 16, 20)
        shards = shard_set(tmp_path / "s", [1], frames=frames)
        spec = ClipSpec(num_frames=6, frame_stride=1, resize=16, crop=16)
        clips, _ = load_arrays(shards, "train", spec, 1)[0]
        assert abs(clips[0].astype(int) - take_view(frames, spec)).max() <= 2


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
from keras_t3d import ClipSpec
from keras_t3d.data import ClipReader, ShardSet
import keras
assert keras.backend.backend() == sys.argv[2]
spec = ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)
reader = ClipReader(ShardSet.open(sys.argv[1]), "train", spec, 4, training=True, seed=3)
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(reader.as_py_dataset(workers=2), epochs=1, verbose=0, shuffle=False)
again = ClipReader(sys.argv[1], "train", spec, 4, training=True, seed=3).as_py_dataset()
print(*[label for _, labels in again for label in labels.tolist()])
print(round(float(np.mean([clips.mean() for clips, _ in again])), 3))
"""


@pytest.mark.process
@pytest.mark.backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_needs_no_tensorflow(shards, spec, backend):
    pytest.importorskip(backend, reason=f"needs {backend}: make test EXTRAS=dev,backends")
    done = forked.run(["-c", WITHOUT_TENSORFLOW, shards, backend], backend=backend, check=True)
    labels, mean = done.stdout.splitlines()
    batches = tf_batches(load_clips(shards, "train", spec, 4, training=True, seed=3), 5)
    assert labels.split() == [str(label) for _, labels in batches for label in labels]
    assert abs(float(mean) - np.mean([clips.mean() for clips, _ in batches])) < 1.5

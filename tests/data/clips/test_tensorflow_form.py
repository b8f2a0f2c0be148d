import itertools
import os
import shutil
import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import ClipSpec
from keras_t3d.clips import crop_positions, take_view, view_starts
from keras_t3d.data import Augmentation, ConversionOptions, ShardSet, convert
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.record_file import RecordWriter, record_offsets
from keras_t3d.data.shards.record_tensors import parse_record
from tests.conftest import counting_frames, frame_numbers, write_video
from tests.data.clips.readers import load_clips, reader
from tests.data.written_shards import jpeg, shard_set

pytestmark = pytest.mark.pipeline


def records(shards, split):
    """(id, decoded frames, label) of each record, read without the pipeline."""
    for record in tf.data.TFRecordDataset(ShardSet.open(shards).paths(split)).as_numpy_iterator():
        example = tf.train.SequenceExample.FromString(record)
        frames = [
            tf.io.decode_jpeg(frame.bytes_list.value[0]).numpy()
            for frame in example.feature_lists.feature_list["image/encoded"].feature
        ]
        context = example.context.feature
        yield (
            context["clip/id"].bytes_list.value[0],
            np.stack(frames),
            context["clip/label/index"].int64_list.value[0],
        )


def all_batches(dataset):
    return list(dataset.as_numpy_iterator())


class TestEvaluation:
    def test_gives_the_centre_view_of_every_video(self, shards, spec):
        batches = all_batches(load_clips(shards, "test", spec, batch_size=3))
        clips = np.concatenate([batch[0] for batch in batches])
        labels = np.concatenate([batch[1] for batch in batches])
        expected = list(records(shards, "test"))
        assert clips.dtype == np.uint8
        assert labels.tolist() == [label for *_, label in expected]
        for clip, (_, frames, _) in zip(clips, expected, strict=True):
            assert np.array_equal(clip, take_view(frames, spec))

    def test_two_runs_give_the_same_bytes(self, shards, spec):
        first, second = (all_batches(load_clips(shards, "test", spec, 4)) for _ in range(2))
        assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))

    def test_padding_fills_the_last_batch_with_weight_zero(self, shards, spec):
        batches = all_batches(load_clips(shards, "test", spec, 5, pad_last_batch=True))
        assert [batch[0].shape[0] for batch in batches] == [5, 5]
        weights = np.concatenate([batch[1]["weights"] for batch in batches])
        assert weights.tolist() == [1] * 8 + [0, 0]
        assert np.array_equal(batches[-1][0][3], batches[0][0][0])

    def test_views_cover_starts_and_crops(self, shards, spec):
        views = reader(shards, "test", spec, batch_size=7).as_views_of_records(
            num_views=3, num_crops=3
        )
        clips, labels, ids, _ = (
            np.concatenate(parts) for parts in zip(*all_batches(views), strict=True)
        )
        index = 0
        for video_id, frames, label in records(shards, "test"):
            for start in view_starts(len(frames), spec, 3):
                for position in crop_positions(3, *frames.shape[1:3]):
                    expected = take_view(frames, spec, start, position)
                    assert np.array_equal(clips[index], expected)
                    assert (ids[index], labels[index]) == (video_id, label)
                    index += 1
        assert index == len(clips) == 8 * 9

    def test_a_video_shorter_than_the_clip_loops(self, tmp_path):
        for label in "ab":
            write_video(tmp_path / "v" / "train" / label / "x.mp4", counting_frames(5, 32, 32))
        convert(tmp_path / "v", tmp_path / "s", ConversionOptions(workers=1))
        spec = ClipSpec(num_frames=8, frame_stride=2, resize=32, crop=32)
        for training in (False, True):
            clips, _ = next(iter(load_clips(tmp_path / "s", "train", spec, 2, training=training)))
            assert frame_numbers(clips[0].numpy()) == [0, 2, 4, 1, 3, 0, 2, 4]


class TestTraining:
    def load(self, shards, spec, **options):
        options = {"batch_size": 6, "training": True, **options}
        return load_clips(shards, "train", spec, **options)

    def test_shapes_and_full_batches(self, shards, spec):
        batches = all_batches(self.load(shards, spec))
        assert [batch[0].shape for batch in batches] == [(6, *spec.input_shape)] * 3
        assert batches[0][0].dtype == np.uint8

    def test_each_pass_is_the_next_epoch(self, shards, spec):
        dataset = self.load(shards, spec)
        first, second = all_batches(dataset), all_batches(dataset)
        assert not np.array_equal(first[0][0], second[0][0])
        again = self.load(shards, spec)
        for expected in (first, second):
            for a, b in zip(expected, all_batches(again), strict=True):
                assert np.array_equal(a[0], b[0])
                assert np.array_equal(a[1], b[1])

    def test_an_epoch_has_each_video_once(self, shards, spec):
        labels = np.concatenate([b[1] for b in all_batches(self.load(shards, spec, batch_size=20))])
        assert np.bincount(labels).tolist() == [10, 10]

    def test_seed_zero_works_and_differs_from_one(self, shards, spec):
        zero, again, one = (
            all_batches(self.load(shards, spec, seed=seed).take(1))[0][0] for seed in (0, 0, 1)
        )
        assert np.array_equal(zero, again)
        assert not np.array_equal(zero, one)

    def test_the_global_seed_changes_nothing(self, shards, spec):
        expected = all_batches(self.load(shards, spec).take(1))[0][0]
        try:
            tf.random.set_seed(0)
            again = all_batches(self.load(shards, spec).take(1))[0][0]
            assert np.array_equal(again, expected)
        finally:
            tf.random.set_seed(1)

    @pytest.mark.parametrize("first_step", [pytest.param(1, marks=pytest.mark.slow), 4])
    def test_resuming_continues_the_sequence(self, shards, spec, first_step):
        whole = all_batches(self.load(shards, spec, repeat=True).take(7))
        later = all_batches(self.load(shards, spec, repeat=True, first_step=first_step).take(3))
        for expected, batch in zip(whole[first_step:], later, strict=False):
            assert np.array_equal(expected[0], batch[0])

    def test_a_small_shuffle_buffer_still_gives_each_video_once(self, shards, spec):
        dataset = self.load(shards, spec, batch_size=20, shuffle_buffer=3)
        assert np.bincount(all_batches(dataset)[0][1]).tolist() == [10, 10]

    def test_too_few_videos_for_a_batch(self, shards, spec):
        with pytest.raises(ValueError, match="20 videos"):
            self.load(shards, spec, batch_size=21)
        assert reader(shards, "train", spec, 20, training=True).steps_per_epoch == 1

    @pytest.mark.fit
    def test_fit_accepts_the_dataset(self, shards, spec, model):
        import keras

        copy = type(model).from_config(model.get_config())
        copy.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
        )
        history = copy.fit(self.load(shards, spec), epochs=2, verbose=0, shuffle=False).history
        assert len(history["loss"]) == 2


class TestSampling:
    def test_half_of_the_clips_are_mirrored_as_a_whole(self, shards, spec):
        """Each clip is its unmirrored twin or that twin mirrored in every frame."""
        plain, flipped = (
            load_clips(
                shards, "train", spec, 20, training=True, repeat=True,
                augmentation=Augmentation(crop="random", flip=flip),
            ).take(5)
            for flip in (False, True)
        )  # fmt: skip
        mirrored = 0
        for (before, _), (after, _) in zip(plain, flipped, strict=True):
            for twin, clip in zip(before.numpy(), after.numpy(), strict=True):
                is_mirrored = np.array_equal(clip, twin[:, :, ::-1])
                assert is_mirrored or np.array_equal(clip, twin)
                mirrored += is_mirrored
        assert 30 < mirrored < 70

    @pytest.mark.parametrize(
        "wrong", [{"crop": "centre"}, {"min_area": 0}, {"max_stretch": 0.5}, {"scales": (2.0,)}]
    )
    def test_wrong_augmentation_is_refused(self, wrong):
        with pytest.raises(ValueError, match="Received"):
            Augmentation(**wrong)


class TestBadArguments:
    @pytest.mark.parametrize(
        "wrong",
        [{"batch_size": 0}, {"batch_size": 4.0}, {"seed": None}, {"first_step": -1},
         {"shuffle_buffer": 0}],
    )  # fmt: skip
    def test_load_clips_raises(self, shards, spec, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            load_clips(shards, "train", spec, **{"batch_size": 4, "training": True, **wrong})

    @pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"num_views": 0}, {"num_crops": 2}])
    def test_views_raise(self, shards, spec, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            batch_size = wrong.pop("batch_size", 4)
            reader(shards, "test", spec, batch_size).as_views(**wrong)


class TestBadShards:
    def test_frames_smaller_than_the_spec_are_refused(self, shards):
        with pytest.raises(ValueError, match="short_side"):
            load_clips(shards, "test", ClipSpec(), 2)

    def test_a_damaged_shard_is_named(self, shards, spec, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        victim = sorted(copy.glob("train*"))[1]
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 0xFF
        victim.write_bytes(content)
        opened = ShardSet.open(copy)
        with (
            pytest.raises(ValueError, match=victim.name),
            damage_named(opened),
        ):
            list(load_clips(opened, "train", spec, 4, training=True))

    def test_labels_in_another_order_are_refused(self, shards, spec, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        (copy / "labels.txt").write_text("dark\nbright\n")
        opened = ShardSet.open(copy)
        with pytest.raises(ValueError, match=r"labels\.txt"), damage_named(opened):
            list(load_clips(opened, "test", spec, 4))

    def test_other_errors_pass_through(self, shards):
        with pytest.raises(tf.errors.InvalidArgumentError), damage_named(ShardSet.open(shards)):
            raise tf.errors.InvalidArgumentError(None, None, "something else")


TINY = ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
EXAMPLES = [3, 1, 4, 2, 5] + [1] * 14  # more shards than are open at a time


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return shard_set(tmp_path_factory.mktemp("many"), EXAMPLES)


def labels_of(dataset):
    return np.concatenate([batch[1].numpy() for batch in dataset]).tolist()


def expected_labels(examples, epoch, shuffle_buffer, seed=0):
    first = np.cumsum([0, *examples])
    order = epoch_order(examples, seed, epoch, shuffle_buffer)
    return [int(first[shard] + record) for shard, record in order]


class TestOrder:
    @pytest.mark.parametrize(
        "shuffle_buffer", [7, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4, 256))]
    )
    def test_equals_epoch_order(self, many, shuffle_buffer):
        dataset = load_clips(
            many, "train", TINY, 1, training=True, seed=3, shuffle_buffer=shuffle_buffer
        )
        for epoch in range(2):
            assert labels_of(dataset) == expected_labels(EXAMPLES, epoch, shuffle_buffer, seed=3)

    def test_resuming_without_repeat(self, many):
        whole = labels_of(load_clips(many, "train", TINY, 4, training=True))
        later = load_clips(many, "train", TINY, 4, training=True, first_step=2)
        assert labels_of(later) == whole[8:]
        assert labels_of(later) == expected_labels(EXAMPLES, 1, 256)[: len(whole)]

    def test_skipped_epochs_are_not_read(self, many):
        """More epochs than anybody could read."""
        dataset = load_clips(
            many, "train", TINY, 29, training=True, repeat=True, first_step=10**9
        ).take(1)
        assert labels_of(dataset) == expected_labels(EXAMPLES, 10**9, 256)


class TestWorkers:
    @pytest.mark.parametrize("repeats", [pytest.param(1, marks=pytest.mark.slow), 2])
    def test_their_parts_are_the_batch_of_one_process(self, many, repeats):
        options = {
            "training": True, "repeat": True, "augmentation": Augmentation(repeats=repeats),
            "first_step": 3, "shuffle_buffer": 5,
        }  # fmt: skip
        whole = all_batches(load_clips(many, "train", TINY, 6, **options).take(8))
        parts = [
            all_batches(load_clips(many, "train", TINY, 6, worker=(index, 3), **options).take(8))
            for index in range(3)
        ]
        assert len(whole) == 8
        for batch, *shares in zip(whole, *parts, strict=True):
            assert [share[1].shape for share in shares] == [(2,)] * 3
            assert np.array_equal(np.concatenate([share[0] for share in shares]), batch[0])
            assert np.array_equal(np.concatenate([share[1] for share in shares]), batch[1])

    def test_evaluation(self, many):
        options = {"batch_size": 8, "pad_last_batch": True}
        whole = all_batches(load_clips(many, "train", TINY, **options))
        parts = [
            all_batches(load_clips(many, "train", TINY, worker=(index, 2), **options))
            for index in range(2)
        ]
        for batch, *shares in zip(whole, *parts, strict=True):
            assert np.array_equal(np.concatenate([share[0] for share in shares]), batch[0])
            for name, values in batch[1].items():
                parts = [share[1][name] for share in shares]
                assert np.array_equal(np.concatenate(parts), values)

    @pytest.mark.parametrize("worker", [(2, 2), (-1, 2), (0, 4), (0,), 1, (False, True)])
    def test_wrong_workers_are_refused(self, many, worker):
        with pytest.raises(ValueError, match="worker"):
            load_clips(many, "train", TINY, 6, training=True, worker=worker)

    def test_evaluation_without_padding_is_refused(self, many):
        with pytest.raises(ValueError, match="pad_last_batch"):
            load_clips(many, "train", TINY, 6, worker=(0, 2))


class TestCache:
    def test_gives_the_same_batches(self, many, tmp_path):
        options = {"training": True, "repeat": True, "shuffle_buffer": 4}
        plain = labels_of(load_clips(many, "train", TINY, 5, **options).take(20))
        for cache in (True, str(tmp_path / "cache")):
            cached = load_clips(many, "train", TINY, 5, cache=cache, **options)
            assert labels_of(cached.take(20)) == plain
        assert len(list((tmp_path / "cache").iterdir())) == len(EXAMPLES)

    @pytest.mark.parametrize("in_memory", [True, False])
    def test_the_shards_are_read_once(self, many, tmp_path, in_memory):
        copy = tmp_path / "copy"
        moved = shard_set(copy, EXAMPLES)
        cache = True if in_memory else str(tmp_path / "cache")
        dataset = load_clips(moved, "train", TINY, 5, training=True, cache=cache)
        first = labels_of(dataset)
        for shard in copy.glob("*.tfrecord"):
            times = shard.stat()
            shard.write_bytes(b"x" * times.st_size)
            os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert len(labels_of(dataset)) == len(first)

    def test_a_changed_shard_is_copied_again(self, many, tmp_path):
        copy = tmp_path / "copy"
        moved = shard_set(copy, EXAMPLES)
        load = lambda: load_clips(moved, "train", TINY, 1, cache=str(tmp_path / "cache"))  # noqa: E731
        before = labels_of(load())
        first, second = (shard.path for shard in moved.shards[5:7])
        first.write_bytes(second.read_bytes())
        os.utime(first, ns=(0, 0))
        assert labels_of(load())[15:17] == [before[16]] * 2


class TestAugmentation:
    def test_repeats_are_different_clips_of_a_video_next_to_each_other(self, many):
        augmentation = Augmentation(repeats=3, flip=False)
        dataset = load_clips(
            many, "train", TINY, 6, training=True, augmentation=augmentation, shuffle_buffer=4
        )
        batches = all_batches(dataset)
        labels = np.concatenate([batch[1] for batch in batches])
        assert len(batches) == 14
        expected = expected_labels(EXAMPLES, 0, 4)[:28]
        assert labels.tolist() == [label for label in expected for _ in range(3)]
        clips = np.concatenate([batch[0] for batch in batches])
        starts = {tuple(frame_numbers(clip)) for clip in clips}
        assert len(starts) == 5  # all of them, over 84 clips
        assert any(
            frame_numbers(clips[row]) != frame_numbers(clips[row + 1])
            for row in range(0, len(clips), 3)
        )

    def test_repeats_must_divide_the_batch(self, many):
        with pytest.raises(ValueError, match="repeats"):
            load_clips(many, "train", TINY, 5, training=True, augmentation=Augmentation(repeats=2))

    @pytest.mark.parametrize(
        ("sampling", "frames"),
        [
            ("random", [[0, 2, 4, 6], [1, 3, 5, 7]]),
            ("segments", itertools.product((0, 1), (2, 3), (4, 5), (6, 7))),
        ],
    )
    def test_sampling_reaches_every_clip_and_no_other(self, many, sampling, frames):
        spec = ClipSpec(num_frames=4, frame_stride=2, resize=16, crop=16)
        dataset = load_clips(
            many, "train", spec, 29, training=True, repeat=True, sampling=sampling
        ).take(6)
        found = {tuple(frame_numbers(clip)) for clips, _ in dataset for clip in clips.numpy()}
        assert found == set(map(tuple, frames))

    def test_target_fps(self, many):
        spec = ClipSpec(num_frames=3, frame_stride=1, resize=16, crop=16)
        dataset = load_clips(many, "train", spec, 29, training=True, target_fps=10.0)
        clips = next(iter(dataset))[0].numpy()
        starts = {tuple(frame_numbers(clip)) for clip in clips}
        assert starts == {(0, 3, 5), (1, 4, 6), (2, 5, 7)}

    def test_short_videos(self, tmp_path):
        short = shard_set(tmp_path / "short", [1], num_frames=3)
        spec = ClipSpec(num_frames=6, frame_stride=1, resize=16, crop=16)
        for policy, frames in (("loop", [0, 1, 2, 0, 1, 2]), ("pad", [0, 1, 2, 2, 2, 2])):
            clips, _ = next(iter(load_clips(short, "train", spec, 1, training=True, short=policy)))
            assert frame_numbers(clips[0].numpy()) == frames
        with pytest.raises(tf.errors.InvalidArgumentError, match="`short`"):
            list(load_clips(short, "train", spec, 1, training=True, short="error"))

    def test_classes_that_are_never_mirrored(self, tmp_path):
        half = np.zeros((4, 16, 20, 3), np.uint8)
        half[:, :, 10:] = 255
        shards = shard_set(tmp_path / "half", [2], frames=half)
        augmentation = Augmentation(crop="random", no_flip_classes=("class 1",))
        spec = ClipSpec(num_frames=2, resize=16, crop=16)
        dataset = load_clips(
            shards, "train", spec, 2, training=True, repeat=True, augmentation=augmentation
        )
        mirrored = {0: set(), 1: set()}
        for clips, labels in dataset.take(20):
            for clip, label in zip(clips.numpy(), labels.numpy(), strict=True):
                mirrored[label].add(bool(clip[:, :, 0].mean() > clip[:, :, -1].mean()))
        assert mirrored == {0: {True, False}, 1: {False}}
        with pytest.raises(ValueError, match="no_flip_classes"):
            load_clips(
                shards, "train", spec, 2, training=True,
                augmentation=Augmentation(no_flip_classes=("class 9",)),
            )  # fmt: skip

    def test_colours_change_and_the_order_does_not(self, many):
        plain, bright = (
            all_batches(
                load_clips(many, "train", TINY, 29, training=True, augmentation=augmentation)
            )[0]
            for augmentation in (Augmentation(), Augmentation(brightness=0.9))
        )
        assert np.array_equal(plain[1], bright[1])
        factors = bright[0].mean((1, 2, 3, 4)) / plain[0].mean((1, 2, 3, 4))
        assert factors.min() < 0.7
        assert factors.max() > 1.3

    @pytest.mark.parametrize("mixing", [{"mixup": 1.0}, {"cutmix": 1.0}])
    def test_mixing_gives_soft_labels(self, many, mixing):
        load = lambda: load_clips(  # noqa: E731
            many, "train", TINY, 4, training=True, augmentation=Augmentation(**mixing)
        )
        first, again = all_batches(load()), all_batches(load())
        for (clips, labels), repeated in zip(first, again, strict=True):
            assert clips.dtype == np.uint8
            assert labels.shape == (4, 29)
            assert labels.dtype == np.float32
            assert np.allclose(labels.sum(1), 1)
            assert np.array_equal(clips, repeated[0])
            assert np.array_equal(labels, repeated[1])
        shares = {round(float(labels.max()), 4) for _, labels in first}
        assert len(shares) > 3


class TestDamage:
    """Of four records in each of two shards, one or more of the first shard are damaged."""

    def damaged(self, tmp_path, kind):
        shards = shard_set(tmp_path / "damaged", [4, 4])
        victim = shards.shards[0].path
        offsets = record_offsets(victim).tolist()
        content = bytearray(victim.read_bytes())
        if kind == "data":
            content[offsets[1] + 40] ^= 0xFF
        elif kind == "length":
            content[offsets[1] + 3] ^= 0xFF
        elif kind == "checksum of the length":
            content[offsets[1] + 9] ^= 0xFF
        else:
            del content[offsets[1] + 40 :]
        victim.write_bytes(content)
        return shards, victim, offsets[1]

    KINDS = {  # noqa: RUF012
        "data": [0, 2, 3], "checksum of the length": [0, 2, 3], "length": [0], "cut short": [0],
    }  # fmt: skip

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.slow)])
    def test_error_names_file_and_record(self, tmp_path, kind, training):
        shards, victim, offset = self.damaged(tmp_path, kind)
        with (
            pytest.raises(ValueError, match=rf"{victim.name}.*record 1: .* byte {offset} "),
            damage_named(shards),
        ):
            list(load_clips(shards, "train", TINY, 2, training=training))

    @pytest.mark.parametrize(
        ("kind", "cache"),
        [
            ("data", True),
            ("cut short", False),
            pytest.param("length", True, marks=pytest.mark.slow),
            pytest.param("checksum of the length", False, marks=pytest.mark.slow),
        ],
    )
    def test_skip_leaves_out_what_is_damaged(self, tmp_path, kind, cache):
        shards, victim, offset = self.damaged(tmp_path, kind)
        kept = [*self.KINDS[kind], 4, 5, 6, 7]
        says = rf"{8 - len(kept)} of 8 .*record 1.* byte {offset} .*{victim.name}"
        options = {"on_damage": "skip", "cache": cache}
        with pytest.warns(UserWarning, match=says):
            dataset = load_clips(shards, "train", TINY, 1, training=True, **options)
        with pytest.warns(UserWarning, match=says):
            evaluation = load_clips(shards, "train", TINY, 2, **options)
        assert labels_of(evaluation) == kept
        examples = [len(kept) - 4, 4]
        for epoch in range(2):
            order = epoch_order(examples, 0, epoch, 256)
            starts = [0, len(kept) - 4]
            expected = [kept[starts[shard] + record] for shard, record in order]
            assert labels_of(dataset) == expected

    def test_skip_does_not_warn_about_intact_shards(self, many):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = load_clips(many, "train", TINY, 1, on_damage="skip")
        assert labels_of(dataset) == list(range(29))

    def test_no_intact_record_raises(self, tmp_path):
        shards = shard_set(tmp_path / "s", [1])
        path = shards.shards[0].path
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(ValueError, match="'train'"):
            load_clips(shards, "train", TINY, 1, on_damage="skip")

    def test_another_policy_is_refused(self, many):
        with pytest.raises(ValueError, match="on_damage"):
            load_clips(many, "train", TINY, 1, on_damage="ignore")


class TestOtherWritersRecords:
    def record(self, *, label=True, frames=True, extra=False):
        feature = lambda *values: tf.train.Feature(  # noqa: E731
            bytes_list=tf.train.BytesList(value=values)
        )
        context = {}
        if label:
            context["clip/label/index"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
        if extra:
            context["clip/label/text"] = feature()
            context["clip/media_id"] = feature(b"x")
            context["image/height"] = tf.train.Feature()
        lists = {}
        if frames:
            images = [feature(jpeg(frame)) for frame in counting_frames(6, 16, 20)]
            lists["image/encoded"] = tf.train.FeatureList(feature=images)
            lists["image/timestamp"] = tf.train.FeatureList(
                feature=[tf.train.Feature(int64_list=tf.train.Int64List(value=[0]))]
            )
        return tf.train.SequenceExample(
            context=tf.train.Features(feature=context),
            feature_lists=tf.train.FeatureLists(feature_list=lists),
        ).SerializeToString()

    @pytest.mark.parametrize("extra", [True, False])
    def test_missing_features_have_defaults(self, extra):
        record = parse_record(tf.constant(self.record(extra=extra)))
        assert record["image/encoded"].shape == (6,)
        assert record["image/timestamp"].shape == (0,)
        del record["image/encoded"], record["image/timestamp"]
        assert {name: value.numpy() for name, value in record.items()} == {
            "clip/label/index": 1, "clip/label/text": b"", "clip/id": b"", "image/height": 16,
            "image/width": 20, "video/fps": 0.0,
        }  # fmt: skip
        assert parse_record(tf.constant(self.record(label=False)))["clip/label/index"] == -1

    def test_a_record_without_frames_is_refused(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG frames"):
            parse_record(tf.constant(self.record(frames=False)))

    def test_they_train_and_give_views(self, tmp_path):
        shards = shard_set(tmp_path / "other", [2])
        with RecordWriter(shards.paths("train")[0]) as writer:
            writer.write(self.record())
            writer.write(self.record(extra=True))
        ((clips, labels),) = all_batches(load_clips(shards, "train", TINY, 2, training=True))
        assert labels.tolist() == [1, 1]
        assert clips.shape == (2, 4, 16, 16, 3)
        views = reader(shards, "train", TINY, 4).as_views_of_records(num_views=2)
        ((views, labels, ids, _),) = all_batches(views)
        assert [frame_numbers(view) for view in views] == [[0, 1, 2, 3], [2, 3, 4, 5]] * 2
        assert ids.tolist() == [b""] * 4

    def test_without_a_class_they_are_refused(self, tmp_path):
        shards = shard_set(tmp_path / "other", [1])
        with RecordWriter(shards.paths("train")[0]) as writer:
            writer.write(self.record(label=False))
        with pytest.raises(ValueError, match="label"), damage_named(shards):
            list(load_clips(shards, "train", TINY, 1))

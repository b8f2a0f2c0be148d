import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import ClipSpec
from keras_t3d.clips import crop_positions, take_view, view_starts
from keras_t3d.data import Augmentation, ShardSet, convert, load_clips, load_views
from keras_t3d.data.augmentation import random_window
from keras_t3d.data.pipeline import steps_per_epoch
from keras_t3d.data.sampling import random_clip_frames
from keras_t3d.data.shards.damage import damage_named
from tests.conftest import counting_frames, frame_numbers, write_video


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
    return [tuple(part.numpy() for part in batch) for batch in dataset]


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
        assert batches[-1][2].tolist() == [1, 1, 1, 0, 0]
        assert np.array_equal(batches[-1][0][3], batches[0][0][0])

    def test_views_cover_starts_and_crops(self, shards, spec):
        views = load_views(shards, "test", spec, batch_size=7, num_views=3, num_crops=3)
        clips, labels, ids = (
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
        convert(tmp_path / "v", tmp_path / "s", workers=1)
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
            all_batches(self.load(shards, spec, seed=seed))[0][0] for seed in (0, 0, 1)
        )
        assert np.array_equal(zero, again)
        assert not np.array_equal(zero, one)

    def test_the_global_seed_changes_nothing(self, shards, spec):
        expected = all_batches(self.load(shards, spec))[0][0]
        try:
            tf.random.set_seed(0)
            assert np.array_equal(all_batches(self.load(shards, spec))[0][0], expected)
        finally:
            tf.random.set_seed(1)

    @pytest.mark.parametrize("first_step", [1, 3, 4])
    def test_skipping_ahead_gives_what_would_have_come(self, shards, spec, first_step):
        whole = all_batches(self.load(shards, spec, repeat=True).take(7))
        later = all_batches(self.load(shards, spec, repeat=True, first_step=first_step).take(3))
        for expected, batch in zip(whole[first_step:], later, strict=False):
            assert np.array_equal(expected[0], batch[0])

    def test_a_small_shuffle_buffer_still_gives_each_video_once(self, shards, spec):
        dataset = self.load(shards, spec, batch_size=20, shuffle_buffer=3)
        assert np.bincount(all_batches(dataset)[0][1]).tolist() == [10, 10]

    def test_too_few_videos_for_a_batch(self, shards, spec):
        with pytest.raises(ValueError, match="too few"):
            self.load(shards, spec, batch_size=21)
        assert steps_per_epoch(shards, "train", 20) == 1

    def test_fit_takes_it(self, shards, spec, model):
        import keras

        copy = type(model).from_config(model.get_config())
        copy.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
        )
        history = copy.fit(self.load(shards, spec), epochs=2, verbose=0, shuffle=False).history
        assert len(history["loss"]) == 2


class TestSampling:
    def test_every_legal_start_is_reached_and_no_other(self):
        spec = ClipSpec(num_frames=4, frame_stride=2)
        starts = {
            tuple(random_clip_frames(10, spec, tf.constant([seed, 0])).numpy())
            for seed in range(80)
        }
        assert starts == {tuple(range(start, start + 7, 2)) for start in range(4)}

    @pytest.mark.parametrize("crop", ["random_resized", "corners", "random"])
    def test_windows_lie_inside_and_reach_the_borders(self, crop):
        spec = ClipSpec(num_frames=4, resize=40, crop=32)
        windows = np.array(
            [
                random_window(
                    tf.constant(40, tf.int64), tf.constant(60, tf.int64), spec,
                    Augmentation(crop=crop), tf.constant([seed, 1]),
                ).numpy()
                for seed in range(300)
            ]
        )  # fmt: skip
        top, left, height, width = windows.T
        assert min(top.min(), left.min()) == 0
        assert (top + height).max() == 40
        assert (left + width).max() == 60
        assert min(height.min(), width.min()) >= 16

    def test_random_windows_have_the_test_scale_and_all_places(self):
        spec = ClipSpec(num_frames=4, resize=40, crop=32)
        size = tf.constant(40, tf.int64)
        windows = {
            tuple(
                random_window(
                    size, size, spec, Augmentation(crop="random"), tf.constant([s, 0])
                ).numpy()
            )
            for s in range(900)
        }
        assert windows == {(top, left, 32, 32) for top in range(9) for left in range(9)}

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
    def test_of_load_clips(self, shards, spec, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            load_clips(shards, "train", spec, **{"batch_size": 4, "training": True, **wrong})

    @pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"num_views": 0}, {"num_crops": 2}])
    def test_of_load_views(self, shards, spec, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            load_views(shards, "test", spec, **{"batch_size": 4, **wrong})


class TestBadShards:
    def test_frames_smaller_than_the_spec_are_refused(self, shards):
        with pytest.raises(ValueError, match="--short-side 128"):
            load_clips(shards, "test", ClipSpec(), 2)

    def test_a_damaged_shard_is_named(self, shards, spec, tmp_path):
        copy = shutil.copytree(shards, tmp_path / "copy")
        victim = sorted(copy.glob("train*"))[1]
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 0xFF
        victim.write_bytes(content)
        opened = ShardSet.open(copy)
        with (
            pytest.raises(ValueError, match=f"Damaged shard: .*{victim.name}"),
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

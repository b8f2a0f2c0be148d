"""Clips of long records are those of short ones, whichever way they are read."""

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import ClipSpec
from keras_t3d.data import Augmentation, ClipReader, ReadOptions, ShardSet
from keras_t3d.data.clips import sampling, tensorflow_partial
from keras_t3d.data.shards.damage import damage_named
from tests.conftest import counting_frames
from tests.data.written_shards import jpeg, shard_set

pytestmark = pytest.mark.pipeline

SPEC = ClipSpec(num_frames=4, frame_stride=2, resize=16, crop=16)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Videos of 50 frames, in 18 shards: more than are open at a time."""
    return shard_set(tmp_path_factory.mktemp("films"), [3, 1, 4, 2] + [1] * 14, num_frames=50)


def batches(
    shards, spec=SPEC, partial=True, monkeypatch=None, augmentation=None, transforms=(), **options
):
    monkeypatch.setattr(tensorflow_partial, "LONG", 0 if partial else 2**40)
    monkeypatch.setattr(tensorflow_partial, "_DRAWN_TOGETHER", 5)
    reader = ClipReader(
        shards, "train", spec, 4, training=True, seed=3, augmentation=augmentation,
        options=ReadOptions(**options), transforms=transforms,
    )  # fmt: skip
    dataset = reader.as_tf_dataset().take(13)  # batches of two epochs and a half with `repeat`
    return [[part.numpy() for part in batch] for batch in dataset]


def darkened(clip):
    dark = clip.pixels // 2 if tf.reduce_mean(tf.cast(clip.pixels, tf.float32)) > 1 else clip.pixels
    return clip._replace(pixels=dark)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"augmentation": Augmentation(crop="random_resized", min_area=0.5, flip=True, repeats=2)},
        {"sampling": "segments"},
        {"first_step": 3},
        {"repeat": True, "first_step": 2, "shuffle_buffer": 7},
        {"transforms": [darkened]},
        {"worker": (1, 2)},
        {"spec": ClipSpec(num_frames=4, fps=7.0, resize=16, crop=16)},
    ],
)
def test_clips_are_the_same(films, choice, monkeypatch):
    partly, whole = (
        batches(films, partial=partial, monkeypatch=monkeypatch, **choice)
        for partial in (True, False)
    )
    assert len(partly) == len(whole) > 0
    for one, other in zip(partly, whole, strict=True):
        for values, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, expected)


def test_only_frames_of_clips_are_read(films, tmp_path, monkeypatch):
    frames = counting_frames(9, 16, 20)
    shards = shard_set(tmp_path / "own", [4], frames=frames)
    path = tmp_path / "own" / "train-00000-of-00001.tfrecord"
    spoilt = path.read_bytes().replace(jpeg(frames[8]), bytes(len(jpeg(frames[8]))))
    path.write_bytes(spoilt)
    spec = ClipSpec(num_frames=8, frame_stride=1, resize=16, crop=16)
    monkeypatch.setattr(sampling, "random_clip", lambda *_, **__: np.arange(8))
    (clips, _), *_ = batches(shards, spec, True, monkeypatch)
    assert len(clips) == 4
    monkeypatch.setattr(sampling, "random_clip", lambda *_, **__: np.arange(1, 9))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"record \d: .*damaged"):
        batches(shards, spec, True, monkeypatch)


def test_damage_and_wrong_labels_are_named(films, tmp_path, monkeypatch):
    shards = shard_set(tmp_path, [4], num_frames=9)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"class 2", b"class 3"))
    with pytest.raises(ValueError, match=r"record 2: .*damaged"), damage_named(shards):
        batches(shards, SPEC, True, monkeypatch)
    path.write_bytes(content)
    renamed = ShardSet(tmp_path, ("b", "a", "c", "d"), 16, shards.shards)
    with pytest.raises(ValueError, match="label is not on its line"), damage_named(renamed):
        batches(renamed, SPEC, True, monkeypatch)


def test_short_records_and_caches_are_read_as_a_whole(films, tmp_path):
    def plan(shards, **options):
        return ClipReader(shards, "train", SPEC, 4, training=True, options=ReadOptions(**options))

    noise = np.random.default_rng(0).integers(0, 256, (20, 128, 256, 3), np.uint8)
    long = shard_set(tmp_path, [1, 3], frames=noise)
    assert not tensorflow_partial.has_long_records(plan(films))
    assert tensorflow_partial.has_long_records(plan(long))
    assert not tensorflow_partial.has_long_records(plan(long, cache=True))

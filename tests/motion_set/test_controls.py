"""The motion set tells classes apart by motion alone: three networks are trained to show it.

All three read the same mp4s. One sees clips in order and learns them; one sees a
single frame and cannot; one sees the frames of a clip in random order and cannot
tell a motion from its opposite. The last two are trained until they know their
training set, or the pairs: a network that learns nothing would show nothing.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.clips import ClipSpec, resize_frames
from keras_t3d.data.video.reader import read_video
from keras_t3d.models import T3DTiny
from keras_t3d.motion_set import MOTION_CLASSES, OPPOSITES, write_motion_set

pytestmark = pytest.mark.slow

SPEC = ClipSpec(num_frames=16, frame_stride=1, resize=48, crop=48)
VIDEO_FRAMES = 24
TRAIN_VIDEOS = 120  # of each class
TEST_VIDEOS = 100  # 200 in each pair: 50 % +- 10 points is then nearly three standard deviations
BATCH = 16


@pytest.fixture(scope="module")
def motion_set(tmp_path_factory):
    """Returns {split: (videos, labels)}, decoded from mp4s and resized."""
    directory = write_motion_set(
        tmp_path_factory.mktemp("videos") / "motion",
        {"train": TRAIN_VIDEOS, "test": TEST_VIDEOS},
        seed=0,
        num_frames=VIDEO_FRAMES,
    )
    return {split: read_split(directory / split) for split in ("train", "test")}


def read_split(directory):
    videos, labels = [], []
    for label, class_name in enumerate(MOTION_CLASSES):
        for file in sorted((directory / class_name).glob("*.mp4")):
            videos.append(resize_frames(read_video(file).frames, SPEC.resize, SPEC.resize))
            labels.append(label)
    return np.stack(videos), np.array(labels)


def in_order(video):
    start = tf.random.uniform((), 0, VIDEO_FRAMES - SPEC.num_frames + 1, tf.int32)
    return tf.ensure_shape(video[start : start + SPEC.num_frames], SPEC.input_shape)


def in_random_order(video):
    return tf.random.shuffle(in_order(video))


def train(model, dataset, epochs):
    steps = epochs * len(dataset)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0025, steps - steps // 10, warmup_target=0.05, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.fit(dataset, epochs=epochs, verbose=0).history["accuracy"][-1]


def train_on_clips(motion_set, arrange, epochs):
    keras.utils.set_random_seed(0)
    videos, labels = motion_set["train"]
    dataset = (
        tf.data.Dataset.from_tensor_slices((videos, labels))
        .shuffle(len(labels))
        .map(lambda video, label: (arrange(video), label))
        .batch(BATCH, drop_remainder=True)
        .prefetch(2)
    )
    model = T3DTiny(input_shape=SPEC.input_shape, num_classes=len(MOTION_CLASSES), clip_spec=SPEC)
    train(model, dataset, epochs)
    return model


def video_scores(model, motion_set, arrange, views=3):
    """Returns the mean probabilities of each test video, (videos, classes)."""
    videos = tf.data.Dataset.from_tensor_slices(motion_set["test"][0])
    keras.utils.set_random_seed(0)
    logits = [model.predict(videos.map(arrange).batch(64), verbose=0) for _ in range(views)]
    return np.mean([keras.ops.softmax(view) for view in logits], axis=0)


def test_ordered_clips_are_learned(motion_set):
    model = train_on_clips(motion_set, in_order, epochs=12)
    scores = video_scores(model, motion_set, in_order)
    assert np.mean(scores.argmax(-1) == motion_set["test"][1]) >= 0.95


def test_clips_in_random_order_do_not_tell_a_motion_from_its_opposite(motion_set):
    model = train_on_clips(motion_set, in_random_order, epochs=10)
    scores = video_scores(model, motion_set, in_random_order)
    labels = motion_set["test"][1]
    named = [[MOTION_CLASSES.index(name) for name in pair] for pair in OPPOSITES]
    # It did learn what frames in any order tell: which pair of opposites it is.
    of_pairs = np.stack([scores[:, pair].sum(-1) for pair in named], axis=-1)
    true_pair = np.array([[label in pair for pair in named] for label in labels]).argmax(-1)
    assert np.mean(of_pairs.argmax(-1) == true_pair) > 0.6
    for pair in named:
        inside = np.isin(labels, pair)
        chosen = np.array(pair)[scores[inside][:, pair].argmax(-1)]
        assert np.mean(chosen == labels[inside]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("instant", [0, VIDEO_FRAMES // 2, VIDEO_FRAMES - 1])
def test_single_frames_tell_nothing(motion_set, instant):
    keras.utils.set_random_seed(0)
    frames, labels = ({split: part[i] for split, part in motion_set.items()} for i in (0, 1))
    dataset = tf.data.Dataset.from_tensor_slices((frames["train"][:, instant], labels["train"]))
    model = frame_classifier()
    known = train(model, dataset.shuffle(len(labels["train"])).batch(BATCH), epochs=15)
    assert known > 0.9  # it had what it takes to learn
    chosen = model.predict(frames["test"][:, instant], verbose=0).argmax(-1)
    chance = 1 / len(MOTION_CLASSES)
    assert np.mean(chosen == labels["test"]) == pytest.approx(chance, abs=0.1)


def frame_classifier():
    x = inputs = keras.Input((SPEC.resize, SPEC.resize, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for filters in (32, 64, 96, 128):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.Flatten()(x)  # it may learn by heart where an object lies
    return keras.Model(inputs, keras.layers.Dense(len(MOTION_CLASSES))(x))

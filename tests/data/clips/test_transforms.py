import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.data import Augmentation
from keras_t3d.errors import InvalidArgumentError
from tests.conftest import frame_numbers
from tests.data.clips.readers import load_arrays, load_clips
from tests.data.written_shards import shard_set

pytestmark = pytest.mark.pipeline

TINY = ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
FORMS = [load_clips, load_arrays]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Records `v0` to `v8`, the label of each its number, at 25 frames per second."""
    return shard_set(tmp_path_factory.mktemp("many"), [4, 5])


def invert(clip):
    return clip._replace(pixels=255 - clip.pixels)


def add_times(clip):
    """Adds the time of each frame in seconds, by arithmetic that both forms understand."""
    if isinstance(clip.frames, np.ndarray):
        return clip._replace(features={"times": clip.frames.astype(np.float32) / clip.fps})
    import tensorflow as tf

    return clip._replace(features={"times": tf.cast(clip.frames, tf.float32) / clip.fps})


def read(load, shards, count=2, **arguments):
    dataset = load(shards, "train", TINY, 4, **arguments)
    batches = iter(dataset)
    return [next(batches) for _ in range(count)]


@pytest.mark.parametrize("load", FORMS)
@pytest.mark.parametrize("training", [True, False])
def test_transforms_change_clips_before_batching(many, load, training):
    plain = read(load, many, training=training)
    for (clips, labels), (changed, same) in zip(
        plain, read(load, many, training=training, transforms=[invert]), strict=True
    ):
        assert np.array_equal(labels, same)
        assert np.array_equal(255 - np.asarray(clips), changed)


@pytest.mark.parametrize("load", FORMS)
def test_transforms_run_in_order(many, load):
    double = lambda clip: clip._replace(pixels=clip.pixels // 2)  # noqa: E731
    ((clips, _),) = read(load, many, 1)
    ((changed, _),) = read(load, many, 1, transforms=[invert, double])
    assert np.array_equal((255 - np.asarray(clips)) // 2, changed)


@pytest.mark.parametrize("load", FORMS)
def test_transforms_may_branch_on_their_clip(many, load):
    def invert_odd(clip):
        if clip.label % 2 == 1:
            clip = invert(clip)
        return clip

    for plain, changed in zip(
        read(load, many), read(load, many, transforms=[invert_odd]), strict=True
    ):
        clips, labels = map(np.asarray, plain)
        odd = (labels % 2 == 1)[:, None, None, None, None]
        assert np.array_equal(np.where(odd, 255 - clips, clips), changed[0])


@pytest.mark.parametrize("load", FORMS)
@pytest.mark.parametrize("training", [True, False])
def test_features_are_inputs_next_to_the_clips(many, load, training):
    for inputs, labels in read(load, many, training=training, transforms=[add_times]):
        assert inputs.keys() == {"clips", "times"}
        assert inputs["clips"].shape == (4, *TINY.input_shape)
        assert labels.shape == (4,)
        frames = [frame_numbers(np.asarray(clip)) for clip in inputs["clips"]]
        np.testing.assert_allclose(inputs["times"], np.array(frames) / 25, rtol=1e-6)


def test_both_forms_pass_the_same_metadata(many):
    seen = {load: [] for load in FORMS}

    def note(load):
        def transform(clip):
            import tensorflow as tf

            parts = [clip.label, clip.key, clip.frames, clip.fps, clip.weight, clip.seed]
            if load is load_arrays:
                seen[load].append([np.asarray(part).tolist() for part in parts])
                return clip
            noted = tf.py_function(
                lambda *parts: seen[load].append(
                    [np.asarray(part.numpy()).tolist() for part in parts]
                ),
                parts,
                [],
            )
            with tf.control_dependencies([noted]):
                return clip._replace(pixels=tf.identity(clip.pixels))

        return transform

    for load in FORMS:
        read(load, many, training=True, transforms=[note(load)])
    read_by_tensorflow = [
        [label, key.decode(), *others] for label, key, *others in seen[load_clips]
    ]
    for metadata in seen[load_arrays]:
        assert metadata in read_by_tensorflow


@pytest.mark.parametrize("load", FORMS)
def test_a_transform_that_returns_no_clip_is_refused(many, load):
    # AutoGraph replaces the type of an error in a function that it converts.
    kind = InvalidArgumentError if load is load_arrays else Exception
    with pytest.raises(kind, match="`transforms`"):
        read(load, many, transforms=[lambda clip: clip.pixels])


def test_features_cannot_be_mixed(many):
    with pytest.raises(InvalidArgumentError, match=r"`mixup`.*times"):
        read(
            load_clips,
            many,
            training=True,
            augmentation=Augmentation(mixup=0.2),
            transforms=[add_times],
        )

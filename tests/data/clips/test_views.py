import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_t3d import ClipSpec
from keras_t3d.data import ClipReader
from keras_t3d.data.clips.views import view_frames
from tests.conftest import frame_numbers
from tests.data.written_shards import shard_set

pytestmark = pytest.mark.pipeline


def clips_of(views):
    batches = [tuple(part.numpy() for part in batch) for batch in views]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


@given(
    st.integers(1, 12),
    st.builds(
        ClipSpec,
        num_frames=st.integers(1, 4),
        frame_stride=st.integers(1, 3),
        resize=st.just(16),
        crop=st.just(16),
    ),
    st.none() | st.integers(1, 3),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
def test_the_frames_are_those_of_the_sampling(tmp_path_factory, length, spec, views, batch_size):
    shards = shard_set(tmp_path_factory.mktemp("s"), [1, 2], num_frames=length)
    loaded = ClipReader(shards, "train", spec, batch_size).as_views_of_records(num_views=views)
    clips, labels, ids, numbers = clips_of(loaded)
    expected = view_frames(length, spec, views)
    assert [frame_numbers(clip) for clip in clips] == expected.tolist() * 3
    each = len(expected)
    assert numbers.tolist() == labels.tolist() == [n for n in range(3) for _ in range(each)]
    assert ids.tolist() == [b"v%d" % n for n in range(3) for _ in range(each)]


def test_crops_of_a_covering_clip_lie_next_to_each_other(tmp_path):
    spec = ClipSpec(num_frames=4, frame_stride=1, resize=16, crop=16)
    shards = shard_set(tmp_path / "s", [2], num_frames=8, size=(16, 40))
    reader = ClipReader(shards, "train", spec, 4)
    clips, labels = clips_of(reader.as_views(num_views=None, num_crops=3))
    assert [frame_numbers(clip)[0] for clip in clips] == [0, 0, 0, 4, 4, 4] * 2
    assert labels.tolist() == [0] * 6 + [1] * 6
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = model.evaluate(clips, labels, verbose=0)
    views = reader.as_views(num_views=None, num_crops=3)
    assert model.evaluate(views, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_two_runs_give_the_same_bytes(tmp_path):
    spec = ClipSpec(num_frames=4, frame_stride=2, resize=16, crop=12)
    shards = shard_set(tmp_path / "s", [3, 2], num_frames=9)
    first, second = (
        clips_of(ClipReader(shards, "train", spec, 3).as_views(num_views=None, num_crops=5))
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("wrong", [{"num_views": 0}, {"num_views": 1.5}, {"num_crops": 2}])
def test_wrong_numbers_are_refused(tmp_path, wrong):
    spec = ClipSpec(num_frames=4, resize=16, crop=16)
    shards = shard_set(tmp_path / "s", [1])
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClipReader(shards, "train", spec, 1).as_views(**wrong)

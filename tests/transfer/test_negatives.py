import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.transfer.negatives import different_videos, select_negatives


def test_negatives_are_the_next_clips_of_other_videos():
    videos = np.array([7, 7, 9, 7], np.int32)
    selected, found = select_negatives(videos, videos, 0, 2)
    assert np.asarray(selected)[:, 0].tolist() == [2, 2, 3, 2]
    assert np.asarray(selected)[2].tolist() == [3, 0]
    assert np.asarray(found).tolist() == [[True, False], [True, False], [True] * 2, [True, False]]


def test_negatives_are_selected_over_all_devices():
    all_videos = np.array([1, 2, 3, 4], np.int32)
    selected, found = select_negatives(all_videos[2:], all_videos, 2, 3)
    assert np.asarray(selected).tolist() == [[3, 0, 1], [0, 1, 2]]
    assert np.asarray(found).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=8), st.integers(1, 4))
def test_negatives_are_of_other_known_videos(videos, count):
    videos = np.array(videos, np.int32)
    selected, found = (np.asarray(x) for x in select_negatives(videos, videos, 0, count))
    assert selected.shape == found.shape == (len(videos), min(count, len(videos)))
    for video, indices, is_negative in zip(videos, selected, found, strict=True):
        others = videos[indices][is_negative]
        assert video == -1 or video not in others.tolist()
        assert -1 not in others.tolist()
        usable = 0 if video == -1 else int(((videos != video) & (videos >= 0)).sum())
        assert is_negative.sum() == min(usable, count)
        assert len(set(indices.tolist())) == len(indices)
    np.testing.assert_array_equal(
        different_videos(videos, videos),
        [[a != b and a >= 0 and b >= 0 for b in videos] for a in videos],
    )

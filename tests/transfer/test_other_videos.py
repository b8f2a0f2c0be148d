import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.transfer.other_videos import next_other_videos, other_videos


def test_the_next_clip_of_another_video():
    videos = np.array([7, 7, 9, 7], np.int32)
    chosen, found = next_other_videos(videos, videos, 0, 2)
    assert np.asarray(chosen)[:, 0].tolist() == [2, 2, 3, 2]
    assert np.asarray(chosen)[2].tolist() == [3, 0]
    assert np.asarray(found).tolist() == [[True, False], [True, False], [True] * 2, [True, False]]


def test_a_device_sees_the_clips_of_all():
    everywhere = np.array([1, 2, 3, 4], np.int32)
    chosen, found = next_other_videos(everywhere[2:], everywhere, 2, 3)
    assert np.asarray(chosen).tolist() == [[3, 0, 1], [0, 1, 2]]
    assert np.asarray(found).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=8), st.integers(1, 4))
def test_never_of_the_same_video_and_never_of_none(videos, count):
    videos = np.array(videos, np.int32)
    chosen, found = (np.asarray(x) for x in next_other_videos(videos, videos, 0, count))
    assert chosen.shape == found.shape == (len(videos), min(count, len(videos)))
    for video, places, there in zip(videos, chosen, found, strict=True):
        others = videos[places][there]
        assert video == -1 or video not in others.tolist()
        assert -1 not in others.tolist()
        usable = 0 if video == -1 else int(((videos != video) & (videos >= 0)).sum())
        assert there.sum() == min(usable, count)
        assert len(set(places.tolist())) == len(places)
    np.testing.assert_array_equal(
        other_videos(videos, videos),
        [[a != b and a >= 0 and b >= 0 for b in videos] for a in videos],
    )

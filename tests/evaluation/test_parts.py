from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.evaluation.parts import records_by_video


def test_the_parts_of_a_video_come_together_in_their_order():
    ids = ["a#1", "b", "a#0", "a#2"]
    assert records_by_video(ids) == {"a": [2, 0, 3], "b": [1]}


def test_more_than_ten_parts_are_ordered_as_numbers():
    ids = [f"a#{part}" for part in (10, 9, *range(9))]
    assert records_by_video(ids) == {"a": [*range(2, 11), 1, 0]}


def test_records_without_an_id_are_videos_of_their_own():
    assert records_by_video(["", "a", ""]) == {"record 0": [0], "a": [1], "record 2": [2]}


def test_records_of_one_id_are_one_video():
    assert records_by_video(["a", "b", "a"]) == {"a": [0, 2], "b": [1]}


def test_names_that_only_look_like_parts_stay_as_they_are():
    for ids in (["take#1", "take#2"], ["take#0"], ["take#0", "take#2"], ["a#00", "a#01"]):
        assert records_by_video(ids) == {name: [number] for number, name in enumerate(ids)}
    assert records_by_video(["#0", "#1"]) == {"#0": [0], "#1": [1]}


def test_a_span_in_the_name_does_not_disturb():
    assert records_by_video(["a#b@1-2#0", "a#b@1-2#1"]) == {"a#b@1-2": [0, 1]}


@given(st.lists(st.sampled_from(["", "a", "b", "a#0", "a#1", "b#0", "b#1", "b#2"])))
def test_every_record_is_in_one_video(ids):
    videos = records_by_video(ids)
    assert sorted(number for records in videos.values() for number in records) == list(
        range(len(ids))
    )
    assert [min(records) for records in videos.values()] == sorted(map(min, videos.values()))

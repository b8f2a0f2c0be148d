from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.shards.cut_videos import group_records_by_video


def test_records_cut_from_a_video_are_grouped_in_order():
    ids = ["a#1", "b", "a#0", "a#2"]
    assert group_records_by_video(ids) == {"a": [2, 0, 3], "b": [1]}


def test_more_than_ten_records_are_in_numerical_order():
    ids = [f"a#{number}" for number in (10, 9, *range(9))]
    assert group_records_by_video(ids) == {"a": [*range(2, 11), 1, 0]}


def test_records_without_an_id_are_separate_videos():
    assert group_records_by_video(["", "a", ""]) == {"record 0": [0], "a": [1], "record 2": [2]}


def test_records_with_the_same_id_are_one_video():
    assert group_records_by_video(["a", "b", "a"]) == {"a": [0, 2], "b": [1]}


def test_incomplete_numbers_are_part_of_the_name():
    for ids in (["take#1", "take#2"], ["take#0"], ["take#0", "take#2"], ["a#00", "a#01"]):
        assert group_records_by_video(ids) == {name: [number] for number, name in enumerate(ids)}
    assert group_records_by_video(["#0", "#1"]) == {"#0": [0], "#1": [1]}


def test_names_may_contain_a_time_span():
    assert group_records_by_video(["a#b@1-2#0", "a#b@1-2#1"]) == {"a#b@1-2": [0, 1]}


@given(st.lists(st.sampled_from(["", "a", "b", "a#0", "a#1", "b#0", "b#1", "b#2"])))
def test_every_record_is_in_one_video(ids):
    videos = group_records_by_video(ids)
    assert sorted(number for records in videos.values() for number in records) == list(
        range(len(ids))
    )
    assert [min(records) for records in videos.values()] == sorted(map(min, videos.values()))

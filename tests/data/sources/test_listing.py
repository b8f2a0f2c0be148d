import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.sources.listing import VideoEntry, make_official_listing, parse_split, span_id

TIMES = st.none() | st.floats(0, 1e6)


@given(st.lists(st.tuples(TIMES, TIMES), unique=True, max_size=12), st.randoms())
def test_entries_sort_in_one_way_with_and_without_spans(spans, chance):
    entries = [VideoEntry("a.mp4", "v/a.mp4", "a", "train", *span) for span in spans]
    chance.shuffle(entries)
    places = [
        (-1.0 if e.start is None else e.start, 1e7 if e.end is None else e.end)
        for e in sorted(entries)
    ]
    assert places == sorted(places)


def test_entries_sort_by_id_first():
    late, early = VideoEntry("b", "v", "a", "train"), VideoEntry("a", "w", "b", "val", 3.0)
    assert sorted([late, early]) == [early, late]
    assert early < late
    assert late >= early


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "a.mp4"),
        (3.0, 13.0, "a.mp4@3-13"),
        (0.1, 100000.25, "a.mp4@0.1-100000.25"),
        (None, 5.0, "a.mp4@0-5"),
        (5.0, None, "a.mp4@5-"),
    ],
)
def test_ids_of_spans(start, end, expected):
    assert span_id("a.mp4", start, end) == expected


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_other_times_have_other_ids(first, second):
    same = span_id("a", first, None) == span_id("a", second, None)
    assert same == (first == second or first + second == 0)


@pytest.mark.parametrize("said", ["val", "Validation", " validate ", "valid"])
def test_spellings_of_a_split(said):
    assert parse_split(said, "line 2") == "val"


@pytest.mark.parametrize("said", ["", None, "holdout"])
def test_other_splits_are_refused(said):
    with pytest.raises(ValueError, match=r"train, val, test.*line 2"):
        parse_split(said, "line 2")


def test_official_classes_are_kept_in_their_order_and_checked(tmp_path):
    entry = VideoEntry("1.mp4", "1.mp4", "b", "train")
    assert make_official_listing(tmp_path, [entry], [], ["c", "b"]).class_names == ("c", "b")
    with pytest.raises(ValueError, match="at least 2 classes"):
        make_official_listing(tmp_path, [entry], [], ["b"])
    with pytest.raises(ValueError, match="printable text"):
        make_official_listing(tmp_path, [entry], [], ["b", "c\n"])
    with pytest.raises(ValueError, match="None of the 0 listed"):
        make_official_listing(tmp_path, [], [], ["b", "c"])

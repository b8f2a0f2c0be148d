import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.sources.listing import (
    Listing,
    SourceError,
    VideoEntry,
    make_official_listing,
    parse_split,
    span_id,
)

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

    def listing(entries, class_names, absent=(), only_present_classes=False):
        return make_official_listing(
            tmp_path, entries, [], class_names, absent, only_present_classes=only_present_classes
        )

    assert listing([entry], ["c", "b"]).class_names == ("c", "b")
    for wrong in (["b"], ["b", "c\n"], ["b", "B"], ["Straße", "STRASSE"]):
        with pytest.raises(SourceError, match=r"Received: .*'"):
            listing([entry], wrong)
    with pytest.raises(SourceError, match=r"1 listed.*first, x\.avi: no such file"):
        listing([], ["b", "c"], absent=["x.avi"])
    with pytest.raises(SourceError, match="'b'"):
        listing([entry], ["b", "c"], only_present_classes=True)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": "ab", "test": "ab"}, []),
        ({"train": "ab"}, []),
        ({"train": "ab", "test": "a"}, ["No test videos of 1 classes: b"]),
        ({"train": "b", "val": "a", "test": "ab"}, ["train.*: a", "val.*: b"]),
        ({"test": "ab"}, ["No videos are for training"]),
        ({"train": "a", "test": "a"}, ["1 of 2 classes have no video.*: b"]),
    ],
)
def test_classes_that_a_split_lacks_are_named(splits, expected):
    entries = [
        VideoEntry(f"{split}/{label}", "", label, split)
        for split, labels in splits.items()
        for label in labels
    ]
    warnings = Listing(tuple(entries), ("a", "b")).warnings()
    assert len(warnings) == len(expected)
    for text, pattern in zip(warnings, expected, strict=True):
        assert re.search(pattern, text)

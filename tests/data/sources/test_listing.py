import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.sources.listing import (
    Listing,
    VideoEntry,
    parse_split,
    span_id,
)


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


@pytest.mark.parametrize("said", ["", "holdout"])
def test_other_splits_are_refused(said):
    with pytest.raises(ValueError, match=r"train, val, test.*line 2"):
        parse_split(said, "line 2")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": "ab", "test": "ab"}, []),
        ({"train": "ab"}, []),
        ({"train": "ab", "test": "a"}, ["No test videos of 1 class: b"]),
        ({"train": "b", "val": "a", "test": "ab"}, ["train.*: a", "val.*: b"]),
        ({"test": "ab"}, ["No videos are for training"]),
        ({"train": "a", "test": "a"}, ["1 of 2 classes have no video.*: b"]),
    ],
)
def test_classes_that_a_split_lacks_are_named(splits, expected):
    entries = [
        VideoEntry(f"{split}/{label}", f"{split}/{label}", label, split)
        for split, labels in splits.items()
        for label in labels
    ]
    warnings = Listing(tuple(entries), ("a", "b")).warnings()
    assert len(warnings) == len(expected)
    for text, pattern in zip(warnings, expected, strict=True):
        assert re.search(pattern, text)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.sources.listing import (
    ListedVideos,
    Reject,
    VideoEntry,
    parse_split,
    span_id,
)


def test_videos_sort_by_id(tmp_path):
    videos = ListedVideos(tmp_path)
    videos.add("b.mp4", "run", "train", listed="b.mp4")
    videos.add("a.mp4", "walk", "val", 3.0, listed="a.mp4")
    videos.add("a.mp4", "walk", "val", listed="a.mp4")
    assert [e.video_id for e in videos.listing().entries] == ["a.mp4", "a.mp4@3-", "b.mp4"]


def test_missing_and_repeated_videos_are_rejects(tmp_path):
    videos = ListedVideos(tmp_path)
    videos.add(None, "run", "train", listed="gone.mp4")
    for split in ("train", "test"):
        videos.add("a.mp4", "run", split, 1.0, 2.0, listed="a.mp4")
    videos.check_new("a", "'a' in line 1")
    with pytest.raises(ValueError, match=r"once\. Received: 'a' in line 2"):
        videos.check_new("a", "'a' in line 2")
    listing = videos.listing(["run", "walk"])
    assert listing.entries == (
        VideoEntry("a.mp4@1-2", str(tmp_path / "a.mp4"), "run", "train", 1.0, 2.0),
    )
    assert listing.rejects == (
        Reject("a.mp4@1-2", "list", "listed again, as 'run' in test"),
        Reject("gone.mp4", "list", "no such file"),
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


@pytest.mark.parametrize("said", ["", None, "holdout"])
def test_other_splits_are_refused(said):
    with pytest.raises(ValueError, match=r"train, val, test.*line 2"):
        parse_split(said, "line 2")


def test_official_classes_are_kept_in_their_order_and_checked(tmp_path):
    videos = ListedVideos(tmp_path)
    with pytest.raises(ValueError, match=" 0 listed"):
        videos.listing(["b", "c"])
    videos.add("1.mp4", "b", "train", listed="1.mp4")
    assert videos.listing(["c", "b"]).class_names == ("c", "b")
    with pytest.raises(ValueError, match="'b'"):
        videos.listing(["b"])
    with pytest.raises(ValueError, match=r"c\\n"):
        videos.listing(["b", "c\n"])

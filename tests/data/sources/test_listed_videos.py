import pytest

from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Reject, SourceError, VideoEntry
from keras_t3d.data.sources.options import SourceOptions


def listed(tmp_path, *videos, absent=(), **options):
    found = ListedVideos(tmp_path, SourceOptions(**options))
    for video in videos:
        found.add(*video)
    for name in absent:
        found.add_absent(name)
    return found


def test_videos_sort_by_id(tmp_path):
    videos = listed(
        tmp_path,
        ("b.mp4", "run", "train"),
        ("a.mp4", "walk", "val", 3.0),
        ("a.mp4", "walk", "val"),
    )
    assert [e.video_id for e in videos.listing().entries] == ["a.mp4", "a.mp4@3-", "b.mp4"]


def test_repeated_videos_are_rejects_and_missing_ones_absent(tmp_path):
    videos = listed(
        tmp_path,
        ("a.mp4", "run", "train", 1.0, 2.0),
        ("a.mp4", "run", "test", 1.0, 2.0),
        absent=["gone.mp4"],
    )
    videos.check_new("a", "'a' in line 1")
    with pytest.raises(SourceError, match=r"Received: 'a' in line 2"):
        videos.check_new("a", "'a' in line 2")
    listing = videos.listing(["run", "walk"])
    assert listing.entries == (
        VideoEntry("a.mp4@1-2", str(tmp_path / "a.mp4"), "run", "train", 1.0, 2.0),
    )
    assert listing.rejects == (Reject("a.mp4@1-2", "list", "listed again, as 'run' in test"),)
    assert listing.absent == ("gone.mp4",)


def test_official_classes_are_kept_in_their_order_and_checked(tmp_path):
    video = ("1.mp4", "b", "train")
    assert listed(tmp_path, video).listing(["c", "b"]).class_names == ("c", "b")
    for wrong in (["b"], ["b", "c\n"], ["b", "B"], ["Straße", "STRASSE"]):
        with pytest.raises(SourceError, match=r"Received: .*'"):
            listed(tmp_path, video).listing(wrong)
    with pytest.raises(SourceError, match=r"x\.avi: no such file"):
        listed(tmp_path, absent=["x.avi"]).listing(["b", "c"])
    others = (video, ("2.mp4", "a", "train"))
    only = listed(tmp_path, *others, only_present_classes=True)
    assert only.listing(["c", "b", "a"]).class_names == ("b", "a")


def test_a_video_without_a_split_is_split_by_its_group(tmp_path):
    videos = [(f"{label}/{n}.mp4", label, None) for label in "ab" for n in range(10)]
    entries = listed(tmp_path, *videos, split_ratio="0.8").listing().entries
    assert sum(entry.split == "test" for entry in entries) == 4
    assert {entry.group for entry in entries} == {path[:-4] for path, _, _ in videos}

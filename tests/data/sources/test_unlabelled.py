import pytest

from tests.data.sources.files import counts, list_layout, touch


def listed(listing):
    return [(entry.video_id, entry.split) for entry in listing.entries]


class TestUnlabelled:
    def test_videos_at_any_depth_are_for_training(self, tmp_path):
        touch(tmp_path, "a.mp4", "films/b.AVI", "films/2020/deep/c.mkv", "films/.d.mp4", ".e/f.mp4")
        listing = list_layout("unlabelled", tmp_path)
        assert listed(listing) == [
            ("a.mp4", "train"),
            ("films/2020/deep/c.mkv", "train"),
            ("films/b.AVI", "train"),
        ]
        assert {entry.label for entry in listing.entries} == {""}
        assert listing.entries[0].path == str(tmp_path / "a.mp4")
        assert listing.class_names == ()
        assert listing.rejects == ()

    def test_one_video_will_do(self, tmp_path):
        assert listed(list_layout("unlabelled", touch(tmp_path, "a.mp4"))) == [("a.mp4", "train")]

    def test_split_folders(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/2.mp4", "val/3.mp4", "test/test/4.mp4", "read.me")
        listing = list_layout("unlabelled", tmp_path)
        assert listed(listing) == [
            ("test/test/4.mp4", "test"),
            ("train/2.mp4", "train"),
            ("train/a/1.mp4", "train"),
            ("val/3.mp4", "val"),
        ]
        assert [reject.source for reject in listing.rejects] == ["read.me"]

    @pytest.mark.parametrize("beside", ["car/4.mp4", "4.mp4"])
    def test_a_folder_named_as_a_split_beside_others_is_none(self, tmp_path, beside):
        touch(tmp_path, "train/1.mp4", "test/2.mp4", "val/3.mp4", beside)
        assert counts(list_layout("unlabelled", tmp_path)) == {"train": 4}

    def test_a_ratio_splits_all_videos(self, tmp_path):
        touch(tmp_path, *(f"{label}/{number}.mp4" for label in "ab" for number in range(30)))
        listing = list_layout("unlabelled", tmp_path, split_ratio="0.5:0.2:0.3")
        assert set(counts(listing)) == {"train", "val", "test"}
        assert counts(listing) == {"train": 30, "val": 12, "test": 18}

    def test_videos_of_a_group_stay_together(self, tmp_path):
        touch(tmp_path, *(f"f{film}_clip{clip}.mp4" for film in range(12) for clip in range(3)))
        listing = list_layout("unlabelled", tmp_path, split_ratio="0.5", group_regex="(f.+)_clip")
        splits = {}
        for entry in listing.entries:
            splits.setdefault(entry.video_id.partition("_")[0], set()).add(entry.split)
        assert all(len(found) == 1 for found in splits.values())
        assert set(counts(listing)) == {"train", "test"}

    def test_other_files_are_rejected_not_forgotten(self, tmp_path):
        touch(tmp_path, "a.mp4", "deep/notes.txt", ".hidden")
        (tmp_path / "deep" / "link.mp4").symlink_to("nowhere.mp4")
        rejects = {r.source: r.reason for r in list_layout("unlabelled", tmp_path).rejects}
        assert rejects == {
            "deep/link.mp4": "no such file: a broken link",
            "deep/notes.txt": "not the suffix of a video file",
        }

    def test_linked_folders_are_followed(self, tmp_path):
        touch(tmp_path / "elsewhere", "a.mp4")
        source = touch(tmp_path / "source", "b.mp4")
        (source / "link").symlink_to(tmp_path / "elsewhere")
        (source / "circle").symlink_to(source)
        assert [name for name, _ in listed(list_layout("unlabelled", source))] == [
            "b.mp4",
            "link/a.mp4",
        ]

    @pytest.mark.parametrize(
        ("names", "options", "said"),
        [
            ((), {}, r"No videos found\. `source` must be a folder"),
            (("a.txt",), {}, r"left out: a\.txt"),
            (("train/1.mp4",), {"split_ratio": "0.8"}, "folders without splits"),
            (("train/1.mp4",), {"group_regex": "x"}, "folders without splits"),
            (("1.mp4",), {"group_regex": "x"}, "requires `split_ratio`"),
            (("1.mp4",), {"split_ratio": "2"}, "`split_ratio` must be"),
            (("1.mp4",), {"split_ratio": "0.5", "group_regex": "x"}, "does not match '1.mp4'"),
        ],
    )
    def test_what_cannot_be_listed_is_refused(self, tmp_path, names, options, said):
        with pytest.raises(ValueError, match=said):
            list_layout("unlabelled", touch(tmp_path, *names), **options)

    def test_a_missing_folder_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="`source`"):
            list_layout("unlabelled", tmp_path / "absent")

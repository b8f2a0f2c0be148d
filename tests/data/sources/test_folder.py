import unicodedata

import pytest

from tests.data.sources.files import counts, list_layout, touch


class TestFolder:
    def test_split_folders(self, tmp_path):
        touch(
            tmp_path, "train/run/a.mp4", "test/walk/b.AVI", "val/run/deep/c.mkv", "train/run/.x.mp4"
        )
        listing = list_layout("folder", tmp_path)
        assert [(e.video_id, e.label, e.split) for e in listing.entries] == [
            ("test/walk/b.AVI", "walk", "test"),
            ("train/run/a.mp4", "run", "train"),
            ("val/run/deep/c.mkv", "run", "val"),
        ]
        assert listing.class_names == ("run", "walk")

    def test_ids_follow_the_names_not_the_splits(self, tmp_path):
        touch(tmp_path, "train/b/1.mp4", "test/a/2.mp4", "test/c/3.mp4")
        assert list_layout("folder", tmp_path).class_names == ("a", "b", "c")

    def test_other_files_are_rejected_not_forgotten(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "train/b/notes.txt")
        (reject,) = list_layout("folder", tmp_path).rejects
        assert (reject.source, reject.stage) == ("train/b/notes.txt", "list")

    def test_files_outside_class_folders_and_broken_links_are_rejects(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "train/loose.mp4", "top.mp4")
        (tmp_path / "train" / "a" / "link.mp4").symlink_to("nowhere.mp4")
        rejects = {r.source: r.reason for r in list_layout("folder", tmp_path).rejects}
        assert set(rejects) == {"train/loose.mp4", "top.mp4", "train/a/link.mp4"}
        assert "class folder" in rejects["top.mp4"]

    def test_class_folders_need_a_ratio(self, tmp_path):
        touch(tmp_path, "a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match="set `split_ratio`"):
            list_layout("folder", tmp_path)
        assert {e.split for e in list_layout("folder", tmp_path, split_ratio="1").entries} == {
            "train"
        }

    def test_mixed_folders_are_refused(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match=r"\[.train.\].*\[.b.\]"):
            list_layout("folder", tmp_path)

    def test_a_ratio_beside_split_folders_is_refused(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4")
        with pytest.raises(ValueError, match="`split_ratio` and `group_regex`"):
            list_layout("folder", tmp_path, split_ratio="0.5")

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ((), "No videos found"),
            (("train/a/1.mp4",), "at least 2 classes"),
            (("train/a/x.txt",), "train/a/x.txt"),
        ],
    )
    def test_nothing_to_train_on_is_refused(self, tmp_path, names, said):
        touch(tmp_path, *names)
        with pytest.raises(ValueError, match=said):
            list_layout("folder", tmp_path)

    def test_a_missing_folder_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="`source`"):
            list_layout("folder", tmp_path / "none")

    @pytest.mark.parametrize(
        "names",
        [
            ("Train", "Test"),
            ("training", "testing"),
            ("TRAIN", "validation"),
            ("training_set", "test-set"),
            ("train_data", "Val videos"),
        ],
    )
    def test_split_folders_are_read_in_any_spelling(self, tmp_path, names):
        touch(tmp_path, *(f"{split}/{label}/1.mp4" for split in names for label in ("jump", "run")))
        listing = list_layout("folder", tmp_path)
        assert listing.class_names == ("jump", "run")
        assert len(counts(listing)) == 2
        with pytest.raises(ValueError, match="`split_ratio`"):
            list_layout("folder", tmp_path, split_ratio="0.5")

    def test_class_folders_in_two_unicode_forms_are_one_class(self, tmp_path):
        decomposed = unicodedata.normalize("NFD", "für")
        touch(tmp_path, "train/für/1.mp4", f"test/{decomposed}/2.mp4", "train/x/3.mp4")
        listing = list_layout("folder", tmp_path)
        assert listing.class_names == ("für", "x")
        assert listing.warnings() == ["No test videos of 1 class: x"]

    def test_class_folders_that_differ_in_capitals_are_refused(self, tmp_path):
        touch(tmp_path, "train/run/1.mp4", "test/Run/2.mp4", "train/x/3.mp4")
        with pytest.raises(ValueError, match="'Run' and 'run'"):
            list_layout("folder", tmp_path)

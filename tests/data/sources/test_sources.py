import pytest

from keras_t3d.data.sources import list_csv, list_folder
from keras_t3d.data.sources.splitting import parse_split_ratio, split_by_hash


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


class TestFolder:
    def test_split_folders(self, tmp_path):
        touch(
            tmp_path, "train/run/a.mp4", "test/walk/b.AVI", "val/run/deep/c.mkv", "train/run/.x.mp4"
        )
        listing = list_folder(tmp_path)
        assert [(e.video_id, e.label, e.split) for e in listing.entries] == [
            ("test/walk/b.AVI", "walk", "test"),
            ("train/run/a.mp4", "run", "train"),
            ("val/run/deep/c.mkv", "run", "val"),
        ]
        assert listing.class_names == ("run", "walk")

    def test_ids_follow_the_names_not_the_splits(self, tmp_path):
        touch(tmp_path, "train/b/1.mp4", "test/a/2.mp4", "test/c/3.mp4")
        assert list_folder(tmp_path).class_names == ("a", "b", "c")

    def test_other_files_are_rejected_not_forgotten(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "train/b/notes.txt")
        (reject,) = list_folder(tmp_path).rejects
        assert (reject.source, reject.stage) == ("train/b/notes.txt", "list")

    def test_files_outside_class_folders_and_broken_links_are_rejects(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "train/loose.mp4", "top.mp4")
        (tmp_path / "train" / "a" / "link.mp4").symlink_to("nowhere.mp4")
        rejects = {r.source: r.reason for r in list_folder(tmp_path).rejects}
        assert set(rejects) == {"train/loose.mp4", "top.mp4", "train/a/link.mp4"}
        assert "no class folder" in rejects["top.mp4"]

    def test_class_folders_need_a_ratio(self, tmp_path):
        touch(tmp_path, "a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match=r"--split-ratio 0\.8"):
            list_folder(tmp_path)
        assert {e.split for e in list_folder(tmp_path, split_ratio="1").entries} == {"train"}

    def test_mixed_folders_are_refused(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match="not both"):
            list_folder(tmp_path)

    def test_a_ratio_beside_split_folders_is_refused(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4")
        with pytest.raises(ValueError, match="without splits"):
            list_folder(tmp_path, split_ratio="0.5")

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ((), "No videos found"),
            (("train/a/1.mp4",), "at least 2 classes"),
            (("train/a/x.txt",), "1 other"),
        ],
    )
    def test_nothing_to_train_on_is_refused(self, tmp_path, names, said):
        touch(tmp_path, *names)
        with pytest.raises(ValueError, match=said):
            list_folder(tmp_path)

    def test_a_missing_folder_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="existing folder"):
            list_folder(tmp_path / "none")


class TestCsv:
    def write(self, tmp_path, text):
        touch(tmp_path, "v/1.mp4", "v/2.mp4")
        (tmp_path / "list.csv").write_text(text)
        return tmp_path / "list.csv"

    def test_path_label_split(self, tmp_path):
        path = self.write(tmp_path, "path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,validation\n")
        entries = list_csv(path).entries
        assert [(e.label, e.split) for e in entries] == [("a", "train"), ("b", "val")]

    def test_file_is_path_and_other_columns_are_left_alone(self, tmp_path):
        path = self.write(tmp_path, "file,label,group,split\nv/1.mp4,a,x,train\nv/2.mp4,b,y,test\n")
        assert len(list_csv(path).entries) == 2

    def test_another_encoding_says_so(self, tmp_path):
        path = self.write(tmp_path, "")
        path.write_bytes("path,label,split\nv/1.mp4,caf\xe9,train\n".encode("latin-1"))
        with pytest.raises(ValueError, match=r"must be UTF-8.*list\.csv"):
            list_csv(path)

    def test_missing_files_are_rejects(self, tmp_path):
        text = "path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,test\nv/3.mp4,b,test\n"
        (reject,) = list_csv(self.write(tmp_path, text)).rejects
        assert (reject.source, reject.reason) == ("v/3.mp4", "no such file")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "an empty file"),
            ("name,label\n", "columns path,label,split"),
            ("path,label\nv/1.mp4,a\n", "no column `split`"),
            ("path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,dev\n", "line 3"),
            ("path,label,split\nv/1.mp4,,train\n", "line 2"),
            ("path,label,split\nv/1.mp4,a,train\nv/1.mp4,a,test\n", "listed once"),
        ],
    )
    def test_wrong_files_are_refused(self, tmp_path, text, said):
        with pytest.raises(ValueError, match=said):
            list_csv(self.write(tmp_path, text))

    @pytest.mark.parametrize(
        "columns", ["start,end", "time_start,time_end", "start,time_end", "time_start,end"]
    )
    def test_a_file_gives_several_spans(self, tmp_path, columns):
        text = f"path,label,split,{columns}\nv/1.mp4,a,train,,2.5\nv/1.mp4,b,val,2.5,\n"
        listing = list_csv(self.write(tmp_path, text + "v/2.mp4,b,test,,\nv/3.mp4,b,test,1,2\n"))
        assert [(e.video_id, e.label, e.split, e.start, e.end) for e in listing.entries] == [
            ("v/1.mp4@0-2.5", "a", "train", None, 2.5),
            ("v/1.mp4@2.5-", "b", "val", 2.5, None),
            ("v/2.mp4", "b", "test", None, None),
        ]
        assert {e.path for e in listing.entries[:2]} == {str(tmp_path / "v" / "1.mp4")}
        assert [r.source for r in listing.rejects] == ["v/3.mp4@1-2"]

    def test_spans_of_a_file_stay_in_one_split(self, tmp_path):
        spans = "".join(f"v/1.mp4,a,{n},{n + 1}\nv/2.mp4,b,{n},{n + 1}\n" for n in range(20))
        path = self.write(tmp_path, "path,label,start,end\n" + spans)
        entries = list_csv(path, split_ratio="0.5").entries
        assert len(entries) == 40
        assert len({(e.path, e.split) for e in entries}) == 2

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("v/1.mp4,a,train,x,2", "start must be a time in seconds.*'x' in line 2"),
            ("v/1.mp4,a,train,1,-2", "end must be a time in seconds"),
            ("v/1.mp4,a,train,1,inf", "end must be a time in seconds"),
            ("v/1.mp4,a,train,3,3", "end after it begins.*line 2"),
            ("v/1.mp4,a,train,,0", "end after it begins"),
            ("v/1.mp4,a,train,1,2\nv/1.mp4,b,test,1.0,2", "listed once.*'v/1.mp4@1-2'.*line 3"),
        ],
    )
    def test_wrong_spans_are_refused(self, tmp_path, rows, said):
        with pytest.raises(ValueError, match=said):
            list_csv(self.write(tmp_path, f"path,label,split,start,end\n{rows}\n"))

    def test_two_columns_for_one_time_are_refused(self, tmp_path):
        text = "path,label,split,start,time_start\nv/1.mp4,a,train,1,1\n"
        with pytest.raises(ValueError, match="one of the columns start and time_start"):
            list_csv(self.write(tmp_path, text))

    def test_a_quote_that_does_not_close_is_refused(self, tmp_path):
        text = 'path,label,split\nv/1.mp4,"' + "a" * 140_000
        with pytest.raises(ValueError, match=r"closing quote.*list\.csv"):
            list_csv(self.write(tmp_path, text))

    def test_a_ratio_splits_where_no_column_does(self, tmp_path):
        path = self.write(tmp_path, "path,label\nv/1.mp4,a\nv/2.mp4,b\n")
        assert len(list_csv(path, split_ratio="1").entries) == 2


class TestSplitting:
    def test_shares(self):
        assert parse_split_ratio("0.8") == pytest.approx((0.8, 0, 0.2))
        assert parse_split_ratio("70:10:20") == pytest.approx((0.7, 0.1, 0.2))

    @pytest.mark.parametrize("wrong", ["0", "1.2", "a", "1:2", "-1:1:1", "0:1:1", ""])
    def test_wrong_ratios_are_refused(self, wrong):
        with pytest.raises(ValueError, match="--split-ratio"):
            parse_split_ratio(wrong)

    def test_a_name_keeps_its_split_for_ever(self):
        shares = (0.5, 0.0, 0.5)
        splits = [split_by_hash(f"{n}.mp4", shares) for n in range(6)]
        assert splits == ["train", "test", "test", "test", "train", "test"]

    def test_shares_are_met(self):
        splits = [split_by_hash(f"video_{n}.mp4", (0.7, 0.1, 0.2)) for n in range(4000)]
        for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
            assert splits.count(split) / 4000 == pytest.approx(share, abs=0.03)

    def test_clips_of_one_source_stay_together(self):
        import re

        group = re.compile(r"(.+)_c\d+")
        for source in range(20):
            names = [f"film{source}_c{n}.mp4" for n in range(5)]
            assert len({split_by_hash(name, (0.5, 0, 0.5), group) for name in names}) == 1

    def test_a_pattern_that_does_not_match_is_refused(self, tmp_path):
        touch(tmp_path, "a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match=r"does not match '1\.mp4'"):
            list_folder(tmp_path, split_ratio="0.5", group_regex=r"(film\d+)")
        with pytest.raises(ValueError, match="does not match"):
            list_folder(tmp_path, split_ratio="0.5", group_regex=r"(zz)?\d")
        with pytest.raises(ValueError, match="regular expression"):
            list_folder(tmp_path, split_ratio="0.5", group_regex="(")

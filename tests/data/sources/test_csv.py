import os
import unicodedata

import pytest

from tests.data.sources.files import counts, list_layout, touch


class TestCsv:
    def write(self, tmp_path, text):
        touch(tmp_path, "v/1.mp4", "v/2.mp4")
        (tmp_path / "list.csv").write_text(text)
        return tmp_path / "list.csv"

    def test_path_label_split(self, tmp_path):
        path = self.write(tmp_path, "path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,validation\n")
        entries = list_layout("csv", path).entries
        assert [(e.label, e.split) for e in entries] == [("a", "train"), ("b", "val")]

    def test_file_is_path_and_other_columns_are_left_alone(self, tmp_path):
        path = self.write(tmp_path, "file,label,group,split\nv/1.mp4,a,x,train\nv/2.mp4,b,y,test\n")
        assert len(list_layout("csv", path).entries) == 2

    def test_another_encoding_says_so(self, tmp_path):
        path = self.write(tmp_path, "")
        path.write_bytes("path,label,split\nv/1.mp4,caf\xe9,train\n".encode("latin-1"))
        with pytest.raises(ValueError, match=r"UTF-8.*list\.csv"):
            list_layout("csv", path)

    def test_missing_files_are_rejects(self, tmp_path):
        text = "path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,test\nv/3.mp4,b,test\n"
        os.mkfifo(tmp_path / "pipe.mp4")
        (tmp_path / "link.mp4").symlink_to("nowhere")
        text += "pipe.mp4,b,test\nv,b,test\nlink.mp4,a,test\n"
        rejects = list_layout("csv", self.write(tmp_path, text)).rejects
        assert [(reject.source, reject.reason) for reject in rejects] == [
            ("link.mp4", "no such file: a broken link"),
            ("pipe.mp4", "not a file"),
            ("v", "not a file"),
            ("v/3.mp4", "no such file"),
        ]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "an empty file"),
            ("name,label\n", "columns path,label,split"),
            ("path,label\nv/1.mp4,a\n", "no column 'split'"),
            ("path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,dev\n", "line 3"),
            ("path,label,split\nv/1.mp4,,train\n", "line 2"),
            ("path,label,split\nv/1.mp4,a,train\nv/1.mp4,a,test\n", "must.* once"),
        ],
    )
    def test_wrong_files_are_refused(self, tmp_path, text, said):
        with pytest.raises(ValueError, match=said):
            list_layout("csv", self.write(tmp_path, text))

    @pytest.mark.parametrize(
        "columns", ["start,end", "time_start,time_end", "start,time_end", "time_start,end"]
    )
    def test_a_file_gives_several_spans(self, tmp_path, columns):
        text = f"path,label,split,{columns}\nv/1.mp4,a,train,,2.5\nv/1.mp4,b,val,2.5,\n"
        listing = list_layout(
            "csv", self.write(tmp_path, text + "v/2.mp4,b,test,,\nv/3.mp4,b,test,1,2\n")
        )
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
        entries = list_layout("csv", path, split_ratio="0.5").entries
        assert len(entries) == 40
        assert len({(e.path, e.split) for e in entries}) == 2

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("v/1.mp4,a,train,x,2", "start must be a time in seconds.*'x' in line 2"),
            ("v/1.mp4,a,train,1,-2", "end must be a time in seconds"),
            ("v/1.mp4,a,train,1,inf", "end must be a time in seconds"),
            ("v/1.mp4,a,train,3,3", "end after its start.*line 2"),
            ("v/1.mp4,a,train,,0", "end after its start"),
            ("v/1.mp4,a,train,1,2\nv/1.mp4,b,test,1.0,2", "must.* once.*'v/1.mp4@1-2'.*line 3"),
        ],
    )
    def test_wrong_spans_are_refused(self, tmp_path, rows, said):
        with pytest.raises(ValueError, match=said):
            list_layout("csv", self.write(tmp_path, f"path,label,split,start,end\n{rows}\n"))

    def test_two_columns_for_one_time_are_refused(self, tmp_path):
        text = "path,label,split,start,time_start\nv/1.mp4,a,train,1,1\n"
        with pytest.raises(ValueError, match="start and time_start"):
            list_layout("csv", self.write(tmp_path, text))

    def test_a_quote_that_does_not_close_is_refused(self, tmp_path):
        for label in ("a" * 140_000, "a,train\nv/2.mp4,b,test\n"):
            text = f'path,label,split\nv/1.mp4,a,train\nv/2.mp4,"{label}'
            with pytest.raises(ValueError, match=r"quote.*line 3 of .*list\.csv"):
                list_layout("csv", self.write(tmp_path, text))

    def test_a_ratio_splits_where_no_column_does(self, tmp_path):
        path = self.write(tmp_path, "path,label\nv/1.mp4,a\nv/2.mp4,b\n")
        assert len(list_layout("csv", path, split_ratio="1").entries) == 2

    def test_rows_of_a_group_stay_in_one_split(self, tmp_path):
        touch(tmp_path, *(f"v/{label}{n}.mp4" for label in "ab" for n in range(12)))
        rows = [f"v/{label}{n}.mp4,{label},person{n % 4}" for label in "ab" for n in range(12)]
        path = self.write(tmp_path, "\n".join(["path,label,group", *rows]))
        entries = list_layout("csv", path, split_ratio="0.5").entries
        assert len({(e.group, e.split) for e in entries}) == 4
        assert {e.split for e in entries} == {"train", "test"}

    def test_rows_without_a_group_are_groups_of_their_own(self, tmp_path):
        touch(tmp_path, *(f"v/{label}{n}.mp4" for label in "ab" for n in range(10)))
        rows = [f"v/{label}{n}.mp4,{label}," for label in "ab" for n in range(10)]
        path = self.write(tmp_path, "\n".join(["path,label,group", *rows]))
        assert counts(list_layout("csv", path, split_ratio="0.8")) == {"train": 16, "test": 4}

    @pytest.mark.parametrize("separator", [";", "\t"])
    def test_semicolons_and_tabs_separate_columns_too(self, tmp_path, separator):
        text = "path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,test\n"
        path = self.write(tmp_path, text.replace(",", separator))
        assert [e.label for e in list_layout("csv", path).entries] == ["a", "b"]

    def test_a_label_with_an_unquoted_comma_is_refused(self, tmp_path):
        text = "path,label\nv/1.mp4,Pushing it, so that it falls\nv/2.mp4,Holding it\n"
        with pytest.raises(ValueError, match="3 cells in line 2"):
            list_layout("csv", self.write(tmp_path, text), split_ratio="1")
        text = 'path,label\nv/1.mp4,"Pushing it, so that it falls"\nv/2.mp4,Holding it\n'
        listing = list_layout("csv", self.write(tmp_path, text), split_ratio="1")
        assert listing.class_names == ("Holding it", "Pushing it, so that it falls")

    def test_column_names_may_have_capitals_and_spaces(self, tmp_path):
        rows = ['v/1.mp4, "a, b", p1', "v/2.mp4, c, p1", ""]
        path = self.write(tmp_path, "\n".join(["Path, Label, Group", *rows]))
        listing = list_layout("csv", path, split_ratio="0.5")
        assert listing.class_names == ("a, b", "c")
        assert {entry.group for entry in listing.entries} == {"p1"}

    def test_a_column_named_twice_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"once.*'label'"):
            list_layout("csv", self.write(tmp_path, "path,label,Label\nv/1.mp4,a,b\n"))

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_any_ends_of_lines_and_rows_without_content(self, tmp_path, newline):
        rows = ["", "path,label,split,", "v/1.mp4,a,train", ",,,", "v/2.mp4,b,test,"]
        path = self.write(tmp_path, "")
        path.write_bytes(f"\ufeff{newline.join(rows)}{newline}".encode())
        assert len(list_layout("csv", path).entries) == 2
        path.write_bytes(newline.join([*rows, f'v/1.mp4,"a{newline}b",tst,']).encode())
        with pytest.raises(ValueError, match="'tst' in line 6"):
            list_layout("csv", path)

    def test_a_file_and_its_span_from_0_are_the_same(self, tmp_path):
        rows = "v/1.mp4,a,train,,\nv/1.mp4,a,test,0,\nv/2.mp4,b,train,,\n"
        path = self.write(tmp_path, f"path,label,split,start,end\n{rows}")
        with pytest.raises(ValueError, match=r"line 3 of .*line 2"):
            list_layout("csv", path)

    @pytest.mark.parametrize(
        ("spans", "warned"),
        [
            (["train,0,4", "test,1,3"], ["v/1.mp4@1-3 in test: "]),
            (["train,,", "test,7,"], ["v/1.mp4@7- in test: "]),
            (["train,0,9", "test,1,3", "val,8,10"], ["v/1.mp4@1-3 in test, and 1 other: "]),
            (["train,0,4", "train,1,3", "test,4,6"], []),
        ],
    )
    def test_frames_in_two_splits_are_warned_of(self, tmp_path, spans, warned):
        rows = [f"v/1.mp4,{label},{span}" for label, span in zip("aba", spans, strict=False)]
        path = self.write(tmp_path, "\n".join(["path,label,split,start,end", *rows]))
        warnings = list_layout("csv", path).warnings()
        said = [text for text in warnings if "the same frames" in text]
        assert [text.partition("the same")[0] for text in said] == warned

    @pytest.mark.parametrize("other", ["./v/1.mp4", "v/../v/1.mp4", "{root}/v/1.mp4", "link.mp4"])
    def test_a_file_listed_twice_is_refused_however_it_is_spelled(self, tmp_path, other):
        (tmp_path / "link.mp4").symlink_to(tmp_path / "v" / "1.mp4")
        other = other.format(root=tmp_path)
        text = f"path,label,split\nv/1.mp4,a,train\n{other},a,test\nv/2.mp4,b,train\n"
        with pytest.raises(ValueError, match=r"line 3 of .*line 2"):
            list_layout("csv", self.write(tmp_path, text))

    def test_lines_are_counted_with_empty_ones_and_cells_of_several(self, tmp_path):
        text = 'path,label,split,note\nv/1.mp4,a,train,"two\nlines"\n\n\nv/2.mp4,b,tset,\n'
        with pytest.raises(ValueError, match="'tset' in line 6"):
            list_layout("csv", self.write(tmp_path, text))
        text = 'path,label,split,note\n\nv/1.mp4,a,tset,"two\nlines"\nv/2.mp4,b,train,\n'
        with pytest.raises(ValueError, match="'tset' in line 3"):
            list_layout("csv", self.write(tmp_path, text))

    @pytest.mark.parametrize(
        "rows", ["x/1.mp4,a,train\nx/2.mp4,b,test", "v/1.mp4,a,train\nx/2.mp4,b,test"]
    )
    def test_a_wrong_folder_names_the_first_missing_file(self, tmp_path, rows):
        path = self.write(tmp_path, f"path,label,split\n{rows}\n")
        with pytest.raises(ValueError, match=r"x/\d\.mp4, no such file"):
            list_layout("csv", path)

    def test_backslashes_and_both_unicode_forms_find_files(self, tmp_path):
        composed, decomposed = "für.mp4", unicodedata.normalize("NFD", "grün.mp4")
        touch(tmp_path, f"v/{composed}", f"v/{decomposed}")
        rows = f"v\\{unicodedata.normalize('NFD', composed)},a,train\nv/grün.mp4,b,test\n"
        listing = list_layout("csv", self.write(tmp_path, f"path,label,split\n{rows}"))
        assert len(listing.entries) == 2

    def test_folder_and_file_may_be_in_different_unicode_forms(self, tmp_path):
        name = f"für/{unicodedata.normalize('NFD', 'Käse.mp4')}"
        touch(tmp_path, name)
        text = "path,label,split\nv/1.mp4,a,train\nfür\\Käse.mp4,b,test\n"
        listing = list_layout("csv", self.write(tmp_path, text))
        assert [entry.path for entry in listing.entries if entry.label == "b"] == [
            str(tmp_path / name)
        ]

    def test_labels_in_two_unicode_forms_are_one_class(self, tmp_path):
        touch(tmp_path, "v/3.mp4")
        rows = ["v/1.mp4,für", f"v/2.mp4,{unicodedata.normalize('NFD', 'für')}", "v/3.mp4,x"]
        path = self.write(tmp_path, "\n".join(["path,label", *rows]))
        assert list_layout("csv", path, split_ratio="1").class_names == ("für", "x")

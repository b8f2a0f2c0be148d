import pytest

from tests.data.sources.files import list_layout, touch


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
        (reject,) = list_layout("csv", self.write(tmp_path, text)).rejects
        assert (reject.source, reject.reason) == ("v/3.mp4", "no such file")

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
        text = 'path,label,split\nv/1.mp4,"' + "a" * 140_000
        with pytest.raises(ValueError, match=r"list\.csv"):
            list_layout("csv", self.write(tmp_path, text))

    def test_a_ratio_splits_where_no_column_does(self, tmp_path):
        path = self.write(tmp_path, "path,label\nv/1.mp4,a\nv/2.mp4,b\n")
        assert len(list_layout("csv", path, split_ratio="1").entries) == 2

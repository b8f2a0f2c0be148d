import pathlib

import pytest

from keras_t3d.data.sources.annotation_files import read_rows
from tests.data.sources.files import counts, label_map, list_layout, official, touch, write

HEADER = "label,youtube_id,time_start,time_end,split\n"
ROWS = HEADER + 'abseiling,-dlaMhsEWo,3,13,train\n"zumba, slow",bbbbbbbbbbb,20,30,validate\n'


def described(listing):
    return [(e.video_id, e.label, e.split, e.start, e.end) for e in listing.entries]


class TestOfficialLists:
    @pytest.fixture(scope="class")
    def rows(self):
        return [row for _, row in read_rows(official("kinetics", "kinetics-400_val.csv"))[1]]

    def test_every_row_of_trimmed_files_in_class_folders(self, tmp_path, rows):
        touch(
            tmp_path,
            *(
                f"{r['label']}/{r['youtube_id']}_{int(r['time_start']):06d}_"
                f"{int(r['time_end']):06d}.mp4"
                for r in rows
            ),
        )
        csv_file = official("kinetics", "kinetics-400_val.csv")
        listing = list_layout("kinetics", tmp_path, annotations=csv_file)
        assert counts(listing) == {"val": 19906}
        assert listing.rejects == ()
        assert listing.class_names == label_map("k400")
        assert {(e.start, e.end) for e in listing.entries} == {(None, None)}
        assert all(e.label == e.video_id.split("/")[0] for e in listing.entries)

    def test_every_row_of_whole_files_in_one_folder(self, tmp_path, rows):
        touch(tmp_path, *(f"{row['youtube_id']}.mp4" for row in rows))
        listing = list_layout("kinetics", tmp_path, annotations=official("kinetics"))
        spans = {
            e.video_id.partition(".mp4@")[0]: (e.label, e.start, e.end) for e in listing.entries
        }
        assert spans == {
            r["youtube_id"]: (r["label"], float(r["time_start"]), float(r["time_end"]))
            for r in rows
        }
        assert listing.rejects == ()

    def test_class_ids_stay_where_videos_are_missing(self, tmp_path, rows):
        touch(tmp_path, f"{rows[-1]['youtube_id']}.mp4")
        listing = list_layout("kinetics", tmp_path, annotations=official("kinetics"))
        assert len(listing.entries) == 1
        assert len(listing.absent) == 19905
        assert listing.class_names == label_map("k400")


@pytest.mark.parametrize(
    "name",
    [
        "-dlaMhsEWo_000003_000013.mp4",
        "abseiling/-dlaMhsEWo_000003_000013.webm",
        "train/abseiling/-dlaMhsEWo_000003_000013.mkv",
        "-dlaMhsEWo_000003_000013.mp4.webm",  # as downloaders leave it
        "-dlaMhsEWo_000003_000013.mp4.mkv",
    ],
)
def test_a_file_named_with_its_span_is_the_clip(tmp_path, name):
    touch(tmp_path / "v", name)
    listing = list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=ROWS))
    assert described(listing) == [(name, "abseiling", "train", None, None)]
    assert pathlib.Path(listing.entries[0].path) == tmp_path / "v" / name


def test_of_a_whole_file_the_span_is_cut(tmp_path):
    touch(tmp_path / "v", "val/bbbbbbbbbbb.mp4")
    listing = list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=ROWS))
    assert described(listing) == [("val/bbbbbbbbbbb.mp4@20-30", "zumba, slow", "val", 20.0, 30.0)]
    assert (listing.rejects, listing.absent) == ((), ("-dlaMhsEWo_000003_000013",))
    assert listing.class_names == ("abseiling", "zumba, slow")


def test_one_file_gives_several_spans(tmp_path):
    touch(tmp_path / "v", "aaaaaaaaaaa.mp4")
    text = HEADER + "a,aaaaaaaaaaa,0,10,train\nb,aaaaaaaaaaa,12.5,20,train\n"
    listing = list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=text))
    assert described(listing) == [
        ("aaaaaaaaaaa.mp4@0-10", "a", "train", 0.0, 10.0),
        ("aaaaaaaaaaa.mp4@12.5-20", "b", "train", 12.5, 20.0),
    ]


def test_a_clip_is_taken_before_the_whole_file(tmp_path):
    touch(tmp_path / "v", "a/-dlaMhsEWo.mp4", "b/-dlaMhsEWo_000003_000013.mp4")
    listing = list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=ROWS))
    assert [e.video_id for e in listing.entries] == ["b/-dlaMhsEWo_000003_000013.mp4"]


def test_a_span_listed_again_is_a_reject(tmp_path):
    touch(tmp_path / "v", "-dlaMhsEWo.mp4", "bbbbbbbbbbb_000020_000030.mp4")
    text = ROWS + "b,-dlaMhsEWo,3,13,test\nabseiling,bbbbbbbbbbb,20,30,train\n"
    listing = list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=text))
    assert len(listing.entries) == 2
    assert [(r.source, r.reason) for r in listing.rejects] == [
        ("-dlaMhsEWo.mp4@3-13", "listed again, as 'b' in test"),
        ("bbbbbbbbbbb_000020_000030.mp4", "listed again, as 'abseiling' in train"),
    ]


def test_a_folder_of_csv_files(tmp_path):
    touch(tmp_path / "v", *(f"{letter * 11}.mp4" for letter in "abc"))
    columns = "label,youtube_id,time_start,time_end\n"
    folder = write(
        tmp_path / "lists",
        train__csv=columns + f"a,{'a' * 11},0,10\n",
        validate__csv=columns + f"b,{'b' * 11},0,10\n",
        kinetics_700_test__csv=columns + f"c,{'c' * 11},0,10\n",
        labels__csv="id,name\n0,a\n",
        contest__csv="not one of them\n",
    )
    listing = list_layout("kinetics", tmp_path / "v", annotations=folder)
    assert [(e.label, e.split) for e in listing.entries] == [
        ("a", "train"),
        ("b", "val"),
        ("c", "test"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("youtube_id,time_start,time_end,split\nx,0,10,test\n", "has no labels.*train.csv"),
        ("label,id\n", "columns label,youtube_id,time_start,time_end,split"),
        ("", "an empty file"),
        (HEADER + ",aaaaaaaaaaa,0,10,train\n", "Every row must have.*line 2"),
        (HEADER + "a,aaaaaaaaaaa,0,,train\n", "Every row must have.*line 2"),
        (HEADER + "a,aaaaaaaaaaa\n", "Every row must have.*line 2"),
        (HEADER + "a,aaaaaaaaaaa,x,10,train\n", "time_start must be a time.*'x' in line 2"),
        (HEADER + "a,aaaaaaaaaaa,0,nan,train\n", "time_end must be a time"),
        (HEADER + "a,aaaaaaaaaaa,10,10,train\n", "end after its start.*line 2"),
        (HEADER + "a,aaaaaaaaaaa,0,10,holdout\n", "train, val, test.*'holdout' in line 2"),
        (HEADER + 'a,"' + "x" * 140_000, "closing quote.*train.csv"),
    ],
)
def test_wrong_csv_files_are_refused(tmp_path, text, said):
    touch(tmp_path / "v", "aaaaaaaaaaa.mp4")
    with pytest.raises(ValueError, match=said):
        list_layout("kinetics", tmp_path / "v", annotations=write(tmp_path, train__csv=text))


def test_a_csv_file_with_neither_column_nor_name_of_a_split_is_refused(tmp_path):
    touch(tmp_path / "v", "aaaaaaaaaaa.mp4")
    folder = write(tmp_path, mine__csv="label,youtube_id,time_start,time_end\na,b,0,1\n")
    with pytest.raises(ValueError, match=r"train\.csv.*Received: .*mine\.csv"):
        list_layout("kinetics", tmp_path / "v", annotations=folder / "mine.csv")


def test_missing_annotations_are_refused(tmp_path):
    touch(tmp_path / "v", "aaaaaaaaaaa.mp4")
    for annotations in (tmp_path / "none.csv", tmp_path / "v"):
        with pytest.raises(ValueError, match=r"`annotations`.*train\.csv"):
            list_layout("kinetics", tmp_path / "v", annotations=annotations)
    folder = write(tmp_path, train__csv=ROWS)
    with pytest.raises(ValueError, match="`source`"):
        list_layout("kinetics", tmp_path / "none", annotations=folder)
    with pytest.raises(ValueError, match=" 2 listed"):
        list_layout("kinetics", tmp_path / "v", annotations=folder)

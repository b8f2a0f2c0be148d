import dataclasses

import pytest

from keras_t3d.data.sources import LAYOUTS, SourceOptions
from keras_t3d.data.sources.layouts import load_layout
from keras_t3d.errors import InvalidArgumentError
from tests.data.sources.files import list_layout, touch, write


@pytest.fixture
def sources(tmp_path):
    """Source and options of each layout, of one dataset of two videos a class."""
    videos = touch(tmp_path / "v", "a/1.mp4", "b/2.mp4")
    lists = write(
        tmp_path / "lists",
        classInd__txt="1 a\n2 b\n",
        trainlist02__txt="a/1.avi 1\nb/2.avi 2\n",
        testlist02__txt="",
        a_test_split2__txt="1.avi 1\n",
        b_test_split2__txt="2.avi 1\n",
        train__csv="label,youtube_id,time_start,time_end\na,1,0,10\nb,2,0,10\n",
        labels__json='{"a": "0", "b": "1"}',
        train__json='[{"id": "1", "template": "a"}, {"id": "2", "template": "b"}]',
    )
    table = write(tmp_path, all__csv="path,label\nv/a/1.mp4,a\nv/b/2.mp4,b\n") / "all.csv"
    of_split = {"annotations": lists, "split_id": 2}
    return {
        "folder": (videos, {"split_ratio": "1"}),
        "csv": (table, {"split_ratio": "1", "group_regex": r"\d"}),
        "unlabelled": (videos, {}),
        "ucf101": (videos, of_split),
        "hmdb51": (videos, of_split),
        "jhmdb": (videos, of_split),
        "kinetics": (videos, {"annotations": lists}),
        "ssv2": (videos, {"annotations": lists}),
    }


@pytest.mark.parametrize(
    "layout", ["folder", "csv", "unlabelled", "ucf101", "hmdb51", "jhmdb", "kinetics", "ssv2"]
)
def test_layouts_agree_on_one_dataset(sources, layout):
    source, options = sources[layout]
    listing = list_layout(layout, source, **options)
    classes = () if layout == "unlabelled" else ("a", "b")
    labels = classes or ("", "")
    assert [(e.label, e.split) for e in listing.entries] == [(name, "train") for name in labels]
    assert listing.class_names == classes
    assert listing.class_ids == {"": -1, **dict(zip(classes, (0, 1), strict=False))}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_required_option_is_an_error(tmp_path, layout):
    required = load_layout(layout).required
    for name in required:
        others = {key: 1 if key == "split_id" else value for key, value in required.items()}
        del others[name]
        with pytest.raises(InvalidArgumentError, match=f"'{layout}' requires `{name}`") as error:
            list_layout(layout, tmp_path, **others)
        assert error.value.argument == name


@pytest.mark.parametrize(
    ("layout", "wrong", "message"),
    [
        ("folder", {"annotations": "x"}, "`annotations`, which is for segments, ucf101, hmdb51"),
        ("folder", {"split_id": 1}, "`split_id`, which is for ucf101, hmdb51, jhmdb"),
        ("csv", {"split_id": 0}, "`split_id`.*Received: 0"),
        ("ucf101", {"split_ratio": "0.8"}, "`split_ratio`, which is for folder, csv, segments"),
        ("unlabelled", {"annotations": "x"}, "`annotations`, which is for segments, ucf101"),
        ("kinetics", {"split_id": 1}, "`split_id`"),
        ("ssv2", {"group_regex": "x"}, "`group_regex`, which is for folder, csv"),
    ],
)
def test_an_option_of_another_layout_is_an_error(tmp_path, layout, wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        list_layout(layout, tmp_path, **wrong)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_accept_only_known_options(layout):
    names = {field.name for field in dataclasses.fields(SourceOptions)} - {"layout"}
    assert names >= {*load_layout(layout).required, *load_layout(layout).optional}


def test_an_unknown_layout_is_an_error():
    with pytest.raises(InvalidArgumentError, match=r"`layout`.*folder, csv.*'kinetics400'"):
        SourceOptions(layout="kinetics400")


def test_a_csv_file_without_its_layout_hints_at_it(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\n")
    with pytest.raises(InvalidArgumentError, match=r"`layout`.*csv"):
        list_layout("folder", tmp_path / "list.csv")

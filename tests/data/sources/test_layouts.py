import pytest

from keras_t3d.data.sources import LAYOUTS, list_videos
from tests.data.sources.files import touch, write

OFFICIAL = {"ucf101", "hmdb51", "jhmdb", "kinetics", "ssv2"}


def test_names():
    assert LAYOUTS == (
        "folder", "csv", "unlabelled", "ucf101", "hmdb51", "jhmdb", "kinetics", "ssv2"
    )  # fmt: skip


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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_listed_by_its_name(sources, layout):
    source, options = sources[layout]
    listing = list_videos(layout, source, **options)
    classes = () if layout == "unlabelled" else ("a", "b")
    labels = classes or ("", "")
    assert [(e.label, e.split) for e in listing.entries] == [(name, "train") for name in labels]
    assert listing.class_names == classes
    assert listing.class_ids == {"": -1, **dict(zip(classes, (0, 1), strict=False))}


@pytest.mark.parametrize("layout", sorted(OFFICIAL))
def test_options_that_a_layout_needs_are_asked_for(sources, layout):
    source, options = sources[layout]
    for name in options:
        others = {key: value for key, value in options.items() if key != name}
        flag = "--" + name.replace("_", "-")
        with pytest.raises(ValueError, match=f"--layout {layout} needs {flag}, for example {flag}"):
            list_videos(layout, source, **others)


@pytest.mark.parametrize(
    ("layout", "wrong", "said"),
    [
        ("folder", {"annotations": "x"}, "no --annotations, which is for ucf101, hmdb51"),
        ("folder", {"split_id": 1}, "no --split-id, which is for ucf101, hmdb51, jhmdb"),
        ("csv", {"split_id": 0}, "no --split-id.*Received: --split-id 0"),
        ("ucf101", {"split_ratio": "0.8"}, "no --split-ratio, which is for folder, csv, unlab"),
        ("unlabelled", {"annotations": "x"}, "no --annotations, which is for ucf101"),
        ("kinetics", {"split_id": 1}, "no --split-id"),
        ("ssv2", {"group_regex": "x"}, "no --group-regex, which is for folder, csv"),
    ],
)
def test_options_that_a_layout_does_not_know_are_refused(sources, layout, wrong, said):
    source, options = sources[layout]
    with pytest.raises(ValueError, match=said):
        list_videos(layout, source, **options, **wrong)


def test_other_layouts_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--layout must be one of folder, csv.*'kinetics400'"):
        list_videos("kinetics400", tmp_path)

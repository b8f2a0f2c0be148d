import os

import pytest

from keras_t3d.data.sources.named_videos import named_videos
from tests.data.sources.files import touch


@pytest.fixture
def root(tmp_path):
    return touch(tmp_path, "f/b.mp4", "f/a/c.avi", "f/a/notes.txt", "f/.hidden.mp4", "g/d.mkv")


def ids(videos):
    return [entry.video_id for entry in videos]


def test_files_and_folders_in_the_order_given(root):
    d, f = str(root / "g" / "d.mkv"), str(root / "f")
    expected = [d, os.path.join(f, "a/c.avi"), os.path.join(f, "b.mp4"), str(root / "none.mp4")]
    listed = named_videos([d, f, root / "none.mp4", root / "f" / "b.mp4"])  # the last one again
    assert ids(listed) == [entry.path for entry in listed] == expected
    assert named_videos(listed) == listed
    assert named_videos(root / "f") == named_videos([root / "f"])


def test_a_csv_file_lists_videos_and_spans(root):
    path = root / "list.csv"
    path.write_text(
        "label;file;start;end\nx;f/b.mp4;;\ny;f/b.mp4;1;2.5\nz;gone.mp4;;\nx;f/b.mp4;;\n"
    )
    listed = named_videos(path)
    assert ids(listed) == ["f/b.mp4", "f/b.mp4@1-2.5", "gone.mp4"]
    assert [(e.path, e.start, e.end) for e in listed] == [
        (str(root / "f/b.mp4"), None, None),
        (str(root / "f/b.mp4"), 1.0, 2.5),
        (str(root / "gone.mp4"), None, None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file and 0 rows"),
        ("name\nb.mp4\n", "column path.*Received: name"),
        ("path\n", "0 rows"),
        ("path,start\nf/b.mp4,x\n", "time in seconds.*line 2"),
        ("path,label\n,x\n", "must have a path.*line 2"),
    ],
)
def test_malformed_lists_are_refused(root, text, said):
    (root / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        named_videos(root / "list.csv")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["none.mp4", "gone"], "No such file: .*none.mp4, .*gone"),
        ([], "`videos`"),
        (["empty"], "fol"),
    ],
)
def test_nothing_to_read_is_an_error(root, names, said):
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match=said):
        named_videos([root / name for name in names])

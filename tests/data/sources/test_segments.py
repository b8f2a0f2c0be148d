import pytest

from keras_t3d.data.sources import SourceError
from keras_t3d.errors import InvalidArgumentError
from tests.data.sources.files import list_layout, touch, write

LINES = "film 0 2.5 open door\nfilm  4\t6   run\n\nday/walk 1 3 run\n"


def listing(root, text=LINES, split_ratio="1", **options):
    annotations = write(root, list__txt=text) / "list.txt"
    return list_layout(
        "segments", root / "v", annotations=annotations, split_ratio=split_ratio, **options
    )


def test_a_line_is_a_span_of_a_video(tmp_path):
    touch(tmp_path / "v", "film.mp4", "day/walk.avi", "other.mp4")
    found = listing(tmp_path)
    assert [(e.video_id, e.label, e.split, e.start, e.end) for e in found.entries] == [
        ("day/walk.avi@1-3", "run", "train", 1.0, 3.0),
        ("film.mp4@0-2.5", "open door", "train", 0.0, 2.5),
        ("film.mp4@4-6", "run", "train", 4.0, 6.0),
    ]
    assert found.entries[1].path == str(tmp_path / "v" / "film.mp4")
    assert found.class_names == ("open door", "run")
    assert found.rejects == ()


@pytest.mark.parametrize("video_id", ["walk", "walk.avi", "day/walk", "day/walk.avi"])
def test_a_video_is_found_by_name_or_path(tmp_path, video_id):
    if video_id == "walk.avi":
        touch(tmp_path / "v", "walk.avi")
    else:
        touch(tmp_path / "v", "day/walk.avi")
    (entry,) = listing(tmp_path, f"{video_id} 1 3 run\nfilm 1 2 jump\n").entries
    assert entry.path.endswith("walk.avi")


def test_missing_and_repeated_segments_are_rejects(tmp_path):
    touch(tmp_path / "v", "film.mp4")
    found = listing(tmp_path, LINES + "film 4.0 6 open door\n")
    assert [(r.source, r.stage, r.reason) for r in found.rejects] == [
        ("day/walk@1-3", "list", "no such file"),
        ("film.mp4@4-6", "list", "listed again, as 'open door' in train"),
    ]
    assert len(found.entries) == 2


def test_segments_of_a_video_and_of_a_group_share_a_split(tmp_path):
    names = [f"film{film}_c{clip}" for film in range(8) for clip in range(3)]
    touch(tmp_path / "v", *(f"{name}.mp4" for name in names))
    text = "".join(f"{name} {n} {n + 1} {'ab'[n % 2]}\n" for name in names for n in range(3))
    for group_regex, group in ((None, lambda e: e.path), (r"(film\d+)", lambda e: e.video_id[:5])):
        entries = listing(tmp_path, text, "0.5", group_regex=group_regex).entries
        assert len(entries) == 72
        splits = {(group(entry), entry.split) for entry in entries}
        assert len(splits) == len({name for name, _ in splits})
        assert {split for _, split in splits} == {"train", "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("film 0 2\n", "'film 0 2' in line 1 of .*list.txt"),
        ("film 0 1 a\nfilm x 2 a\n", "start.*'x' in line 2"),
        ("film 0 inf a\n", "end.*'inf'"),
        ("film 3 3 a\n", "start 3.0, end 3.0 in line 1"),
        ("none 0 1 a\nnone 1 2 b\n", "None of the 2 listed videos.*none@0-1"),
        ("film 0 1 a\n", "at least 2 classes"),
    ],
)
def test_a_malformed_file_is_an_error(tmp_path, text, message):
    touch(tmp_path / "v", "film.mp4")
    with pytest.raises(SourceError, match=message):
        listing(tmp_path, text)


def test_a_missing_file_or_folder_is_an_error(tmp_path):
    touch(tmp_path / "v", "film.mp4")
    with pytest.raises(InvalidArgumentError, match="`annotations`"):
        list_layout("segments", tmp_path / "v", annotations="none.txt", split_ratio="1")
    with pytest.raises(InvalidArgumentError, match="`source`"):
        list_layout("segments", tmp_path / "w", annotations=tmp_path, split_ratio="1")

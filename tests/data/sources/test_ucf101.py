import pathlib

import pytest

from tests.data.sources.files import counts, label_map, list_layout, official, touch, write

CLASSES = "1 Archery\r\n2 HandstandPushups\r\n"
TRAIN = "Archery/v_Archery_g01_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi 2\r\n"
TEST = "Archery/v_Archery_g02_c01.avi\r\n"
FILES = (
    "Archery/v_Archery_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "Archery/v_Archery_g02_c01.avi",
)


def lists(root, classes=CLASSES, train=TRAIN, test=TEST):
    return write(
        root / "lists", classInd__txt=classes, trainlist01__txt=train, testlist01__txt=test
    )


@pytest.fixture(scope="module")
def every_video(tmp_path_factory):
    folder = official("ucf101")
    names = []
    for name in ("trainlist01.txt", "testlist01.txt"):
        names += [line.split()[0] for line in (folder / name).read_text().splitlines()]
    return touch(tmp_path_factory.mktemp("ucf101"), *names)


@pytest.mark.parametrize(
    ("split_id", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)]
)
def test_official_splits(every_video, split_id, train, test):
    listing = list_layout("ucf101", every_video, annotations=official("ucf101"), split_id=split_id)
    assert counts(listing) == {"train": train, "test": test}
    assert listing.rejects == ()
    assert listing.class_names == label_map("ucf101")
    assert {entry.label for entry in listing.entries} == set(listing.class_names)
    assert all(entry.label == entry.video_id.split("/")[0] for entry in listing.entries)
    pushups = [entry for entry in listing.entries if entry.label == "HandstandPushups"]
    assert len(pushups) == 128


def test_entries(tmp_path):
    touch(tmp_path / "v", *FILES, "Archery/v_Archery_g09_c09.avi", "notes.txt")
    listing = list_layout("ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=1)
    assert [(e.video_id, e.label, e.split) for e in listing.entries] == [
        ("Archery/v_Archery_g01_c01.avi", "Archery", "train"),
        ("Archery/v_Archery_g02_c01.avi", "Archery", "test"),
        ("HandstandPushups/v_HandStandPushups_g01_c01.avi", "HandstandPushups", "train"),
    ]
    assert [pathlib.Path(e.path) for e in listing.entries] == [
        tmp_path / "v" / e.video_id for e in listing.entries
    ]
    assert listing.rejects == ()  # a file that no list names is left alone
    assert {(e.start, e.end) for e in listing.entries} == {(None, None)}


@pytest.mark.parametrize("listed", ["HandstandPushups", "HandStandPushups"])
@pytest.mark.parametrize("folder", ["HandstandPushups", "HandStandPushups"])
@pytest.mark.parametrize("file", ["HandstandPushups", "HandStandPushups"])
def test_either_spelling_of_handstand_pushups_is_found(tmp_path, listed, folder, file):
    train = f"{listed}/v_{listed}_g01_c01.avi 2\n"
    touch(tmp_path / "v", f"{folder}/v_{file}_g01_c01.avi")
    folder_of_lists = lists(tmp_path, train=train, test="")
    (entry,) = list_layout(
        "ucf101", tmp_path / "v", annotations=folder_of_lists, split_id=1
    ).entries
    assert entry.label == "HandstandPushups"


def test_another_encoding_and_a_deeper_folder_are_found(tmp_path):
    touch(tmp_path / "v", "UCF-101/Archery/v_Archery_g01_c01.mp4")
    (entry,) = list_layout(
        "ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=1
    ).entries
    assert entry.video_id == "UCF-101/Archery/v_Archery_g01_c01.mp4"


def test_the_original_is_taken_where_both_are_there(tmp_path):
    touch(tmp_path / "v", "Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g01_c01.mp4")
    (entry,) = list_layout(
        "ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=1
    ).entries
    assert entry.video_id.endswith(".avi")


def test_absent_videos_are_no_rejects_and_their_class_stays(tmp_path):
    touch(tmp_path / "v", FILES[0], "Archery/v_Archery_g02_c01.txt")
    listing = list_layout("ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=1)
    assert listing.rejects == ()
    assert listing.absent == (
        "Archery/v_Archery_g02_c01.avi",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    )
    assert listing.class_names == ("Archery", "HandstandPushups")


def test_class_ids_follow_class_ind(tmp_path):
    touch(tmp_path / "v", "Zumba/v_Zumba_g01_c01.avi")
    folder = lists(tmp_path, "1 Zumba\n2 Archery\n", "Zumba/v_Zumba_g01_c01.avi 1\n", "")
    listing = list_layout("ucf101", tmp_path / "v", annotations=folder, split_id=1)
    assert listing.class_names == ("Zumba", "Archery")


@pytest.mark.parametrize("split_id", [0, 4])
def test_other_splits_are_refused(tmp_path, split_id):
    touch(tmp_path / "v", *FILES)
    with pytest.raises(ValueError, match=rf"`split_id`.*Received: {split_id}"):
        list_layout("ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=split_id)


@pytest.mark.parametrize("name", ["classInd.txt", "trainlist01.txt", "testlist01.txt"])
def test_a_missing_list_is_named(tmp_path, name):
    touch(tmp_path / "v", *FILES)
    folder = lists(tmp_path)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        list_layout("ucf101", tmp_path / "v", annotations=folder, split_id=1)


def test_missing_folders_are_refused(tmp_path):
    touch(tmp_path / "v", *FILES)
    with pytest.raises(ValueError, match=r"`annotations`.*classInd\.txt"):
        list_layout("ucf101", tmp_path / "v", annotations=tmp_path / "none", split_id=1)
    with pytest.raises(ValueError, match="`source`"):
        list_layout("ucf101", tmp_path / "none", annotations=lists(tmp_path), split_id=1)


def test_a_folder_without_one_listed_video_is_refused(tmp_path):
    touch(tmp_path / "v", "other/1.avi")
    with pytest.raises(ValueError, match=r" 3 listed.*Archery/v_Archery_g01"):
        list_layout("ucf101", tmp_path / "v", annotations=lists(tmp_path), split_id=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train": "Rowing/v_Rowing_g01_c01.avi 1\n"}, r"class of classInd\.txt.*line 1"),
        ({"train": TRAIN.replace(".avi 2", ".avi 7")}, r"and its number.*line 2.*trainlist01"),
        ({"train": "v_Archery_g01_c01.avi 1\n"}, r"class of classInd\.txt"),
        ({"test": FILES[0]}, r"must.* once.*again in line 1 of .*testlist01"),
        ({"classes": "1 Archery\n3 Rowing\n"}, r"number the classes from 1.*line 2"),
        ({"classes": "Archery\nRowing\n"}, r"number the classes from 1.*line 1"),
        ({"classes": "1 Archery\n2 archery\n"}, "each class once"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, wrong, said):
    touch(tmp_path / "v", *FILES)
    with pytest.raises(ValueError, match=said):
        list_layout("ucf101", tmp_path / "v", annotations=lists(tmp_path, **wrong), split_id=1)

import json

import pytest

from tests.data.sources.files import label_map, list_layout, touch, write

LABELS = {"Pushing something": "1", "Holding something next to something": "0"}
TRAIN = [
    {
        "id": "78687",
        "label": "holding potato next to vicks vaporub bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "vicks vaporub bottle"],
    }
]
VALIDATION = [{"id": "74225", "label": "pushing car", "template": "Pushing [something]"}]
TEST = [{"id": "1420"}, {"id": "1421"}]
FILES = ("78687.webm", "74225.webm", "1420.webm", "1421.webm")


def lists(root, prefix="", labels=LABELS, train=TRAIN, validation=VALIDATION, test=TEST):
    texts = {"labels": labels, "train": train, "validation": validation, "test": test}
    texts = {
        f"{prefix}{name}__json": json.dumps(content)
        for name, content in texts.items()
        if content is not None
    }
    return write(root / "lists", **texts)


def described(listing):
    return [(e.video_id, e.label, e.split) for e in listing.entries]


def test_labels_are_templates_without_brackets_and_ids_follow_labels_json(tmp_path):
    touch(tmp_path / "v", *FILES)
    listing = list_layout("ssv2", tmp_path / "v", annotations=lists(tmp_path, test=None))
    assert described(listing) == [
        ("74225.webm", "Pushing something", "val"),
        ("78687.webm", "Holding something next to something", "train"),
    ]
    assert listing.class_names == ("Holding something next to something", "Pushing something")
    assert listing.rejects == ()


def test_the_order_of_labels_json_is_kept_where_it_is_not_sorted(tmp_path):
    touch(tmp_path / "v", *FILES)
    labels = dict(zip(LABELS, ("0", "1"), strict=True))
    listing = list_layout(
        "ssv2", tmp_path / "v", annotations=lists(tmp_path, labels=labels, test=None)
    )
    assert listing.class_names == ("Pushing something", "Holding something next to something")


def test_names_of_the_first_release_other_encodings_and_deeper_folders(tmp_path):
    touch(tmp_path / "v", "20bn-something-something-v2/78687.mp4")
    folder = lists(tmp_path, prefix="something-something-v2-", test=None)
    listing = list_layout("ssv2", tmp_path / "v", annotations=folder)
    assert [e.video_id for e in listing.entries] == ["20bn-something-something-v2/78687.mp4"]
    assert (listing.rejects, listing.absent) == ((), ("74225.webm",))


def test_test_videos_take_their_labels_from_the_answers(tmp_path):
    touch(tmp_path / "v", *FILES)
    folder = lists(tmp_path)
    (folder / "test-answers.csv").write_text("1420;Pushing something\n")
    listing = list_layout("ssv2", tmp_path / "v", annotations=folder)
    assert ("1420.webm", "Pushing something", "test") in described(listing)
    assert len(listing.entries) == 3
    assert [(r.source, r.reason) for r in listing.rejects] == [
        ("1421.webm", "no label in test-answers.csv")
    ]


def test_test_videos_without_answers_are_rejects(tmp_path):
    touch(tmp_path / "v", *FILES)
    listing = list_layout("ssv2", tmp_path / "v", annotations=lists(tmp_path))
    assert {e.split for e in listing.entries} == {"train", "val"}
    assert [r.source for r in listing.rejects] == ["1420.webm", "1421.webm"]


def test_all_official_classes(tmp_path):
    names = label_map("sthv2")
    touch(tmp_path / "v", "1.webm")
    folder = lists(
        tmp_path,
        labels={name: str(index) for index, name in enumerate(names)},
        train=[{"id": "1", "template": names[5].replace("something", "[something]")}],
        validation=None,
        test=None,
    )
    listing = list_layout("ssv2", tmp_path / "v", annotations=folder)
    assert listing.class_names == names
    assert len(names) == 174
    assert listing.entries[0].label == names[5]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"labels": None}, r"labels\.json is missing"),
        ({"train": None, "validation": None, "test": None}, r"train\.json, validation\.json"),
        ({"labels": {"a": "1", "b": "2"}}, "from 0"),
        ({"labels": {"a": "0", "b": "x"}}, "from 0"),
        ({"labels": {"[a] b": "0", "a b": "1"}}, "from 0"),
        ({"labels": ["a", "b"]}, "from 0"),
        ({"train": [{"id": "1", "template": "Eating [something]"}]}, "'Eating something'.*video 1"),
        ({"train": [{"id": "1"}]}, r"list of videos.*train\.json"),
        ({"train": [{"template": "Pushing [something]"}]}, r"list of videos.*train\.json"),
        ({"train": {"id": "1"}}, r"list of videos.*train\.json"),
        ({"validation": TRAIN}, r"must.* once.*video 78687 of .*validation\.json"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, wrong, said):
    touch(tmp_path / "v", *FILES)
    with pytest.raises(ValueError, match=said):
        list_layout("ssv2", tmp_path / "v", annotations=lists(tmp_path, **wrong))


def test_other_text_than_json_and_wrong_answers_are_refused(tmp_path):
    touch(tmp_path / "v", *FILES)
    folder = lists(tmp_path)
    (folder / "test-answers.csv").write_text("1420,Pushing something\n")
    with pytest.raises(ValueError, match=r"<id>;<label>.*line 1 of .*test-answers\.csv"):
        list_layout("ssv2", tmp_path / "v", annotations=folder)
    (folder / "test-answers.csv").write_text("1420;Eating something\n")
    with pytest.raises(ValueError, match=r"'Eating something'.* 1420"):
        list_layout("ssv2", tmp_path / "v", annotations=folder)
    (folder / "train.json").write_text("[{")
    (folder / "test-answers.csv").unlink()
    with pytest.raises(ValueError, match=r"JSON.*Received: .*train\.json"):
        list_layout("ssv2", tmp_path / "v", annotations=folder)


def test_missing_folders_are_refused(tmp_path):
    touch(tmp_path / "v", *FILES)
    with pytest.raises(ValueError, match=r"`annotations`.*labels\.json"):
        list_layout("ssv2", tmp_path / "v", annotations=tmp_path / "none")
    with pytest.raises(ValueError, match="`source`"):
        list_layout("ssv2", tmp_path / "none", annotations=lists(tmp_path))
    with pytest.raises(ValueError, match=" 4 listed"):
        list_layout("ssv2", touch(tmp_path / "w", "0.webm"), annotations=lists(tmp_path))

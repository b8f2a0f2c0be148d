import collections
import unicodedata

import pytest

from keras_t3d.data.sources.options import parse_split_ratio
from keras_t3d.data.sources.splitting import group_of, splits_of_groups
from tests.data.sources.files import counts, list_layout, touch


def split(labels_of_files, ratio, group_regex=None):
    """Returns the split of each file, given its label: dict by path."""
    groups = {file: group_of(file, group_regex) for file in labels_of_files}
    labels = collections.defaultdict(set)
    for file, label in labels_of_files.items():
        labels[groups[file]].add(label)
    splits = splits_of_groups(labels, ratio)
    return {file: splits[group] for file, group in groups.items()}


def test_shares():
    assert parse_split_ratio("0.8") == pytest.approx((0.8, 0, 0.2))
    assert parse_split_ratio("70:10:20") == pytest.approx((0.7, 0.1, 0.2))


@pytest.mark.parametrize("wrong", ["0", "1.2", "a", "1:2", "-1:1:1", "0:1:1", ""])
def test_wrong_ratios_are_refused(wrong):
    with pytest.raises(ValueError, match="`split_ratio`"):
        parse_split_ratio(wrong)


@pytest.mark.parametrize(
    ("count", "ratio", "expected"),
    [
        (10, "0.8", [8, 0, 2]),
        (10, "0.7:0.1:0.2", [7, 1, 2]),
        (3, "0.7:0.1:0.2", [1, 1, 1]),
        (2, "0.8", [1, 0, 1]),
        (1, "0.8", [1, 0, 0]),
        (5, "1", [5, 0, 0]),
        (1000, "0.7:0.1:0.2", [700, 100, 200]),
    ],
)
def test_each_class_is_split_by_the_ratio(count, ratio, expected):
    files = {f"{label}/{n}.mp4": label for label in "ab" for n in range(count)}
    splits = split(files, ratio)
    for label in "ab":
        found = collections.Counter(s for file, s in splits.items() if file[0] == label)
        assert [found[name] for name in ("train", "val", "test")] == expected


def test_equal_file_names_in_other_folders_are_other_videos():
    files = {f"{c}/take{k}/clip.mp4": c for c in ("jump", "run") for k in range(10)}
    assert collections.Counter(split(files, "0.8").values()) == {"train": 16, "test": 4}


def test_a_split_depends_on_the_path_alone():
    files = [f"a/{n}.avi" for n in range(100)]
    before = split(dict.fromkeys(files, "a"), "0.8")
    encoded = split({file.replace(".avi", ".mp4"): "a" for file in files}, "0.8")
    assert list(encoded.values()) == list(before.values())
    assert split(dict.fromkeys(reversed(files), "a"), "0.8") == before


def test_most_videos_keep_their_split_when_others_are_added():
    before = split({f"a/{n}.mp4": "a" for n in range(200)}, "0.8")
    after = split({f"a/{n}.mp4": "a" for n in range(220)}, "0.8")
    assert sum(after[file] != before[file] for file in before) <= 10


def test_a_group_stays_in_one_split_in_all_its_classes():
    files = {
        f"{label}/person{person}/{n}.mp4": label
        for label in ("jump", "run", "walk")
        for person in range(10)
        for n in range(3)
    }
    splits = split(files, "0.8", group_regex=r"(person\d+)/")
    of_person = collections.defaultdict(set)
    for file, name in splits.items():
        of_person[file.split("/")[1]].add(name)
    assert all(len(names) == 1 for names in of_person.values())
    for label in ("jump", "run", "walk"):
        found = collections.Counter(s for file, s in splits.items() if file.startswith(label))
        assert found == {"train": 24, "test": 6}


def test_few_groups_fill_every_split():
    files = {f"{label}/person{p}/{n}.mp4": label for label in "ab" for p in range(3) for n in "123"}
    found = split(files, "0.7:0.1:0.2", group_regex=r"(person\d+)/")
    assert set(found.values()) == {"train", "val", "test"}


def test_a_regex_sees_the_path_below_the_source(tmp_path):
    touch(tmp_path, *(f"{c}/person{p}/{n}.mp4" for c in "ab" for p in range(3) for n in range(3)))
    options = {"split_ratio": "0.5", "group_regex": r"(person\d+)/"}
    listing = list_layout("folder", tmp_path, **options)
    assert {entry.group for entry in listing.entries} == {"person0", "person1", "person2"}
    assert listing.summary().startswith("Found 18 videos of 2 classes in 3 groups: ")
    assert counts(listing) == {"train": 12, "test": 6}


def test_a_group_is_one_in_both_unicode_forms(tmp_path):
    names = [unicodedata.normalize(form, "Jürgen") for form in ("NFC", "NFD")]
    touch(tmp_path, *(f"{c}/{name}_{n}.mp4" for c in "ab" for name in names for n in "12"))
    listing = list_layout("folder", tmp_path, split_ratio="0.5", group_regex=r"([^/]+)_\d")
    assert {entry.group for entry in listing.entries} == {"Jürgen"}


def test_a_regex_that_does_not_match_is_refused(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/2.mp4")
    for regex, received in ((r"(film\d+)", r"a/1\.mp4"), (r"(zz)?\d", "zz"), ("(", r"\(")):
        with pytest.raises(ValueError, match=f"`group_regex`.*Received: .*{received}"):
            list_layout("folder", tmp_path, split_ratio="0.5", group_regex=regex)


def test_one_group_and_classes_without_videos_are_warned_of(tmp_path):
    touch(tmp_path, "jump/1.mp4", "run/1.mp4", "run/2.mp4", "run/3.mp4")
    listing = list_layout("folder", tmp_path, split_ratio="0.5", group_regex=r"mp4")
    assert any("one group" in text for text in listing.warnings())
    listing = list_layout("folder", tmp_path, split_ratio="0.5")
    (warning,) = listing.warnings()
    assert "test" in warning
    assert warning.endswith(": jump")

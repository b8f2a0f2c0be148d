import collections
import csv

import pytest

from tests.conftest import SHARED_DATA
from tests.data.sources.files import counts, label_map, list_layout, official, touch, write

WAVE = "a_wave_0.avi 1 \nb_wave_0.avi 2 \nc_wave_0.avi 0 \n"
CLAP = "a_clap_0.avi 2 \nClap![_NEW_]_clap_1.avi 1 \n"
FILES = (
    "wave/a_wave_0.avi",
    "wave/b_wave_0.avi",
    "wave/c_wave_0.avi",
    "clap/a_clap_0.avi",
    "clap/Clap![_NEW_]_clap_1.avi",
)


def lists(root, wave=WAVE, clap=CLAP):
    return write(root / "lists", wave_test_split1__txt=wave, clap_test_split1__txt=clap)


def listed_names(folder, split_id):
    for path in sorted(folder.glob(f"*_test_split{split_id}.txt")):
        label = path.name.removesuffix(f"_test_split{split_id}.txt")
        for line in path.read_text().splitlines():
            yield f"{label}/{line.split()[0]}", line.split()[1]


@pytest.fixture(scope="module")
def every_hmdb51_video(tmp_path_factory):
    names = [name for name, _ in listed_names(official("hmdb51"), 1)]
    return touch(tmp_path_factory.mktemp("hmdb51"), *names)


class TestHmdb51:
    @pytest.mark.parametrize("split_id", [1, 2, 3])
    def test_official_splits(self, every_hmdb51_video, split_id):
        folder = official("hmdb51")
        listing = list_layout("hmdb51", every_hmdb51_video, annotations=folder, split_id=split_id)
        assert counts(listing) == {"train": 3570, "test": 1530}
        assert listing.rejects == ()
        assert listing.class_names == label_map("hmdb51")
        per_class = collections.Counter((e.label, e.split) for e in listing.entries)
        assert set(per_class.values()) == {70, 30}
        unused = {name for name, number in listed_names(folder, split_id) if number == "0"}
        assert len(unused) == 1666
        assert unused.isdisjoint(entry.video_id for entry in listing.entries)


class TestJhmdb:
    FOLDER = SHARED_DATA / "jhmdb"
    LISTS = SHARED_DATA / "jhmdb_splits"

    @pytest.fixture(autouse=True)
    def _needs_the_dataset(self):
        if not (self.FOLDER.is_dir() and self.LISTS.is_dir()):
            pytest.skip(f"needs JHMDB and its lists: {self.FOLDER}, {self.LISTS}")

    @pytest.mark.parametrize("split_id", [1, 2, 3])
    def test_official_splits_of_the_real_videos(self, split_id):
        listing = list_layout("jhmdb", self.FOLDER, annotations=self.LISTS, split_id=split_id)
        with open(self.FOLDER / "manifest.csv", newline="") as file:
            expected = {row["file"]: row for row in csv.DictReader(file)}
        found = {entry.video_id: entry for entry in listing.entries}
        assert found.keys() == expected.keys()
        for name, entry in found.items():
            assert entry.label == expected[name]["label"]
            assert entry.split == expected[name][f"split{split_id}"]
        assert len(listing.class_names) == 21
        assert listing.rejects == ()
        if split_id == 1:
            assert counts(listing) == {"train": 660, "test": 268}


@pytest.mark.parametrize("layout", ["hmdb51", "jhmdb"])
class TestBoth:
    def test_entries(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES)
        listing = list_layout(layout, tmp_path / "v", annotations=lists(tmp_path), split_id=1)
        assert [(e.video_id, e.label, e.split) for e in listing.entries] == [
            ("clap/Clap![_NEW_]_clap_1.avi", "clap", "train"),
            ("clap/a_clap_0.avi", "clap", "test"),
            ("wave/a_wave_0.avi", "wave", "train"),
            ("wave/b_wave_0.avi", "wave", "test"),
        ]
        assert listing.class_names == ("clap", "wave")

    def test_another_encoding_and_a_deeper_folder_are_found(self, tmp_path, layout):
        touch(tmp_path / "v", "ReCompress_Videos/wave/a_wave_0.mp4")
        listing = list_layout(layout, tmp_path / "v", annotations=lists(tmp_path), split_id=1)
        assert [e.video_id for e in listing.entries] == ["ReCompress_Videos/wave/a_wave_0.mp4"]
        assert len(listing.absent) == 3  # the unused one is not missed

    def test_a_class_without_a_folder_stays(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES[:3])
        listing = list_layout(layout, tmp_path / "v", annotations=lists(tmp_path), split_id=1)
        assert listing.class_names == ("clap", "wave")
        assert set(listing.absent) == {"clap/a_clap_0.avi", "clap/Clap![_NEW_]_clap_1.avi"}
        assert listing.rejects == ()

    def test_classes_without_videos_can_be_left_out(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES)
        extra = lists(tmp_path)
        (extra / "yawn_test_split1.txt").write_text("y.avi 1\n")
        options = {"annotations": extra, "split_id": 1}
        listing = list_layout(layout, tmp_path / "v", **options)
        assert listing.class_names == ("clap", "wave", "yawn")
        assert any("yawn" in text for text in listing.warnings())
        listing = list_layout(layout, tmp_path / "v", **options, only_present_classes=True)
        assert listing.class_names == ("clap", "wave")

    def test_a_class_with_no_list_of_this_split_is_refused(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES)
        folder = write(lists(tmp_path), run_test_split2__txt="a_run_0.avi 1\n")
        with pytest.raises(ValueError, match=r"run_test_split1\.txt"):
            list_layout(layout, tmp_path / "v", annotations=folder, split_id=1)

    def test_a_class_of_class_list_with_no_list_is_refused(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES)
        folder = write(lists(tmp_path), class_list__txt="wave  \nclap\nrun")
        with pytest.raises(ValueError, match=r"run_test_split1\.txt"):
            list_layout(layout, tmp_path / "v", annotations=folder, split_id=1)

    @pytest.mark.parametrize("split_id", [0, 4])
    def test_other_splits_are_refused(self, tmp_path, layout, split_id):
        touch(tmp_path / "v", *FILES)
        with pytest.raises(ValueError, match=rf"`split_id`.*Received: {split_id}"):
            list_layout(layout, tmp_path / "v", annotations=lists(tmp_path), split_id=split_id)

    def test_missing_and_empty_folders_are_refused(self, tmp_path, layout):
        touch(tmp_path / "v", *FILES)
        with pytest.raises(ValueError, match="`annotations`, a folder"):
            list_layout(layout, tmp_path / "v", annotations=tmp_path / "none", split_id=1)
        with pytest.raises(ValueError, match=r"wave_test_split1\.txt"):
            list_layout(layout, tmp_path / "v", annotations=tmp_path / "v", split_id=1)
        with pytest.raises(ValueError, match="`source`"):
            list_layout(layout, tmp_path / "none", annotations=lists(tmp_path), split_id=1)

    @pytest.mark.parametrize(
        ("wave", "said"),
        [
            ("a_wave_0.avi 3\n", r"0 \(unused\), 1 \(train\) or 2.*line 1 of .*wave_test_split1"),
            ("a_wave_0.avi\n", r"0 \(unused\)"),
            ("1\n", r"0 \(unused\)"),
            ("a_wave_0.avi 1\n\na_wave_0.avi 2\n", "must.* once.*line 3"),
        ],
    )
    def test_wrong_lists_are_refused(self, tmp_path, layout, wave, said):
        touch(tmp_path / "v", *FILES)
        with pytest.raises(ValueError, match=said):
            list_layout(layout, tmp_path / "v", annotations=lists(tmp_path, wave=wave), split_id=1)

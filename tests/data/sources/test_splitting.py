import pytest

from keras_t3d.data.sources import SourceOptions
from keras_t3d.data.sources.options import parse_split_ratio
from keras_t3d.data.sources.splitting import hash_split
from tests.data.sources.files import list_layout, touch


class TestSplitting:
    def test_shares(self):
        assert parse_split_ratio("0.8") == pytest.approx((0.8, 0, 0.2))
        assert parse_split_ratio("70:10:20") == pytest.approx((0.7, 0.1, 0.2))

    @pytest.mark.parametrize("wrong", ["0", "1.2", "a", "1:2", "-1:1:1", "0:1:1", ""])
    def test_wrong_ratios_are_refused(self, wrong):
        with pytest.raises(ValueError, match="`split_ratio`"):
            parse_split_ratio(wrong)

    def test_a_name_keeps_its_split_for_ever(self):
        options = SourceOptions(split_ratio="0.5")
        splits = [hash_split(f"{n}.mp4", options) for n in range(6)]
        assert splits == ["train", "test", "test", "test", "train", "test"]

    def test_shares_are_met(self):
        options = SourceOptions(split_ratio="0.7:0.1:0.2")
        splits = [hash_split(f"video_{n}.mp4", options) for n in range(4000)]
        for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
            assert splits.count(name) / 4000 == pytest.approx(share, abs=0.03)

    def test_clips_of_one_source_stay_together(self):
        options = SourceOptions(split_ratio="0.5", group_regex=r"(.+)_c\d+")
        for source in range(20):
            names = [f"film{source}_c{n}.mp4" for n in range(5)]
            assert len({hash_split(name, options) for name in names}) == 1

    def test_a_pattern_that_does_not_match_is_refused(self, tmp_path):
        touch(tmp_path, "a/1.mp4", "b/2.mp4")
        with pytest.raises(ValueError, match=r"film.*'1\.mp4'"):
            list_layout("folder", tmp_path, split_ratio="0.5", group_regex=r"(film\d+)")
        with pytest.raises(ValueError, match=r"`group_regex`.*zz"):
            list_layout("folder", tmp_path, split_ratio="0.5", group_regex=r"(zz)?\d")
        with pytest.raises(ValueError, match="`group_regex`"):
            list_layout("folder", tmp_path, split_ratio="0.5", group_regex="(")

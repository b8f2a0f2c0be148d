import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.data.clips.record_keys import record_key, source_number
from keras_t3d.data.sources.listing import span_id

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).map(lambda n: f"{n}.mp4")
SECONDS = st.none() | st.floats(0, 1e20)


class TestRecordKey:
    def test_is_the_id_where_there_is_one(self):
        assert record_key("run/a.mp4#1", b"frame") == "run/a.mp4#1"

    def test_is_a_hash_of_the_first_frame_where_there_is_none(self):
        key = record_key("", b"frame")
        assert key == f"first frame {hashlib.sha256(b'frame').hexdigest()}"
        assert record_key("", b"other") != key


class TestSourceNumber:
    def test_is_the_same_on_every_machine(self):
        assert source_number("a.mp4") == 1936344917
        assert source_number("odd \udcff.mp4") == 465608000

    @given(NAMES, SECONDS, SECONDS, st.none() | st.integers(0, 10**6))
    def test_parts_and_spans_are_of_their_video(self, name, start, end, part):
        key = span_id(name, start, end) + ("" if part is None else f"#{part}")
        assert source_number(key) == source_number(name)
        assert 0 <= source_number(key) < 2**31

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("a#1.mp4", "a#2.mp4"),
            ("a@1-2.mp4", "a@3-4.mp4"),
            ("user@host 1.avi", "user@host 2.avi"),
            ("a.mp4#01", "a.mp4#02"),  # not as parts are numbered
            ("a.mp4#-1", "a.mp4#-2"),
            ("a.mp4@x-2", "a.mp4@y-2"),
            ("a.mp4@1:00-2", "a.mp4@2:00-3"),
            ("a.mp4#1 ", "a.mp4#2 "),
            ("a.mp4#1\n", "a.mp4#2\n"),
            ("#1", "#2"),
            ("@1-2", "@1-3"),
            ("odd \udcff.mp4", "odd \udcfe.mp4"),
        ],
    )
    def test_other_names_are_other_videos(self, one, other):
        assert source_number(one) != source_number(other)

    @pytest.mark.parametrize(
        ("key", "source"),
        [
            ("a#1.mp4#0", "a#1.mp4"),
            ("two\nlines.mp4@0-1.5#12", "two\nlines.mp4"),
            ("user@host.avi@3-", "user@host.avi"),
            ("a#1#2", "a#1"),
            ("a@1-2@3-4", "a@1-2"),
        ],
    )
    def test_a_name_may_contain_endings_of_others(self, key, source):
        assert source_number(key) == _number(source)

    def test_an_id_that_looks_like_a_part_is_treated_as_one(self):
        assert source_number("tape#1") == source_number("tape@2-3") == _number("tape")

    def test_an_empty_key_has_a_number(self):
        assert source_number("") == _number("")


def _number(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

import json

import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.folder_lock import FolderLockedError
from keras_t3d.inference.bulk.part_file import opened_part

IDENTITY = {"model": "a1", "top": 5, "num_views": None}


class KilledError(Exception):
    pass


def fill(out, count):
    with pytest.raises(KilledError), opened_part(out, IDENTITY) as part:
        for number in range(count):
            part.append({"video": str(number), "views": number})
        raise KilledError


def read(out):
    """Returns what a resumed run finds."""
    found = []
    with pytest.raises(KilledError), opened_part(out, IDENTITY) as part:
        found += [row["video"] for row in part.rows()]
        assert list(part.num_views) == list(map(int, found))
        raise KilledError
    return found


def test_rows_survive_and_the_file_goes_at_the_end(tmp_path):
    out = tmp_path / "new" / "s.csv"
    fill(out, 3)
    with opened_part(out, IDENTITY) as part:
        assert list(part.num_views) == [0, 1, 2]
        part.append({"video": "last", "views": 9})
        assert [row["video"] for row in part.rows()] == ["0", "1", "2", "last"]
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("tail", [b'{"video": "3", "vi', b"\0" * 4000, b"\0\n\0\n", b"\xff\n"])
def test_a_torn_end_is_dropped(tmp_path, tail):
    out = tmp_path / "s.csv"
    fill(out, 3)
    part = tmp_path / "s.csv.part"
    whole = part.read_bytes()
    part.write_bytes(whole + tail)
    assert read(out) == ["0", "1", "2"]
    assert part.read_bytes() == whole


def test_every_length_of_a_part_file_resumes(tmp_path):
    out, part = tmp_path / "s.csv", tmp_path / "s.csv.part"
    fill(out, 3)
    whole = part.read_bytes()
    for length in range(len(whole)):
        part.write_bytes(whole[:length])
        complete = whole[:length].count(b"\n")
        assert read(out) == ["0", "1", "2"][: max(complete - 1, 0)]
        assert json.loads(part.read_bytes().splitlines()[0]) == IDENTITY


def test_results_of_other_arguments_are_refused_and_kept(tmp_path):
    fill(tmp_path / "s.csv", 2)
    other = {"model": "b2", "top": 5, "num_views": 3}
    said = r"`model` a1, now b2; `num_views` by default, now 3\. .*Received: .*s\.csv$"
    with pytest.raises(InvalidArgumentError, match=said), opened_part(tmp_path / "s.csv", other):
        pass
    assert read(tmp_path / "s.csv") == ["0", "1"]


def test_another_process_at_work_is_an_error(tmp_path):
    out = tmp_path / "s.csv"
    with (
        opened_part(out, IDENTITY),
        pytest.raises(FolderLockedError, match=r"s\.csv"),
        opened_part(out, IDENTITY),
    ):
        pass

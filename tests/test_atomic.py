import pytest

from keras_t3d.atomic import write_text, written_beside


def test_a_file_is_whole_or_absent(tmp_path):
    target = tmp_path / "new" / "report.json"
    with pytest.raises(RuntimeError), written_beside(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert not list(target.parent.iterdir())
    write_text(target, "whole")
    assert [path.name for path in target.parent.iterdir()] == ["report.json"]


def test_a_failure_keeps_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "before")
    with pytest.raises(RuntimeError), written_beside(target) as part:
        part.mkdir()
        (part / "x").write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1

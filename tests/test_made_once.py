"""Files that the processes of a run share are made once, and whole."""

import pytest

from tests.made_once import made_once


def test_what_is_there_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = made_once("a.txt", lambda path: path.write_text("first"))
    assert made_once("a.txt", lambda path: path.write_text("second")) == path
    assert path.read_text() == "first"


def test_what_a_failed_maker_leaves_is_removed(tmp_path, monkeypatch):
    def fail(path):
        path.mkdir()
        (path / "half").touch()
        raise OSError("full")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="full"):
        made_once("folder", fail)
    assert not list(made_once("folder", lambda path: path.mkdir()).iterdir())

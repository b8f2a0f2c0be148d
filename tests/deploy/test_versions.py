"""Numbers of versions."""

import pytest

from keras_t3d.deploy import versions


def test_number_taken_before_the_rename(tmp_path, monkeypatch):
    """Another export takes the number between listing and rename."""
    (tmp_path / "new").mkdir()
    (tmp_path / "versions" / "1").mkdir(parents=True)
    (tmp_path / "versions" / "1" / "saved_model.pb").touch()
    seen = [0]
    look = versions._last_version
    monkeypatch.setattr(versions, "_last_version", lambda d: seen.pop() if seen else look(d))
    published = versions._publish(tmp_path / "new", tmp_path / "versions")
    assert published == tmp_path / "versions" / "2"
    assert published.is_dir()
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError):  # nothing else is tried again
        versions._publish(tmp_path / "new", tmp_path / "versions")

"""The folder that launcher and workers share."""

import io

import pytest

from tests.beam_bucket import needs_beam


@needs_beam
def test_a_file_is_whole_or_absent(tmp_path):
    from keras_t3d.data.beam.folder import BeamFolder

    class Breaks(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError("gone")
            return super().read(4)

    folder = BeamFolder(str(tmp_path))
    folder.write("a.json", io.BytesIO(b"old"))
    with pytest.raises(OSError, match="gone"):
        folder.write("a.json", Breaks(b"newer content"))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]


@needs_beam
def test_a_bucket_holds_files_and_folders(bucket, tmp_path):
    from keras_t3d.data.beam.folder import BeamFolder

    folder = BeamFolder("box://b/state/")
    for name in ("a", "model/x", "model/below/y", ".part-1-a"):
        folder.write(name, io.BytesIO(name.encode()))
    assert folder.names() == {"a", "model", ".part-1-a"}
    assert folder.names("model") == {"x", "below"}
    folder.delete_unfinished()
    assert list(folder.read_all(["model/x", "a"])) == [b"model/x", b"a"]
    folder.fetch(["model/below/y"], str(tmp_path))
    assert (tmp_path / "model" / "below" / "y").read_bytes() == b"model/below/y"
    folder.delete("model/")
    assert folder.names() == {"a"}
    folder.delete_all()
    assert not folder.names()

import subprocess
import sys

import pytest

from keras_t3d.folder_lock import written_by_many

pytest.importorskip("fcntl", reason="Windows has no such locks")

WRITER = """
import pathlib, sys
from keras_t3d.folder_lock import written_by_many
with written_by_many(pathlib.Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.mark.process
def test_what_a_kill_left_is_removed_unless_another_is_writing(tmp_path):
    (tmp_path / ".part-1-a").touch()
    (tmp_path / ".part-1-folder" / "below").mkdir(parents=True)
    with written_by_many(tmp_path):
        assert list(tmp_path.iterdir()) == []
        (tmp_path / ".part-2-b").touch()
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "in\n"  # it need not wait
        assert (tmp_path / ".part-2-b").exists()
    with written_by_many(tmp_path):
        assert (tmp_path / ".part-2-b").exists()
    other.communicate()
    (tmp_path / "whole").touch()
    with written_by_many(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_place_that_cannot_be_written_to_may_be_read(tmp_path):
    (tmp_path / "file").touch()
    with written_by_many(tmp_path / "file" / "below"):
        pass

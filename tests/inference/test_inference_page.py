"""Commands and code of the pages about prediction, run on small videos."""

import pathlib
import re
import shlex
import shutil

import numpy as np
import pytest

from keras_t3d.cli import main
from tests.conftest import write_video

pytestmark = pytest.mark.export

DOCS = pathlib.Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / f"{page}.md").read_text() for page in ("inference", "archives", "watching"))
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line for language, text in BLOCKS if not language for line in text.splitlines()]
CODE = [text for language, text in BLOCKS if language == "python"]


def needs_camera_or_screen(words):
    return "--camera" in words or (words[0] == "watch" and "--no-display" not in words)


@pytest.fixture(scope="module")
def artifacts(model_path, lite_path, saved_model_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    shutil.copy(model_path, folder / "model.keras")
    for name in ("t3d.tflite", "model.tflite"):
        shutil.copy(lite_path, folder / name)
    shutil.copytree(saved_model_path, folder / "serving" / "t3d")
    rng = np.random.default_rng(0)
    for name in ("clip.mp4", "film.mp4", "films/a.mp4", "films/b.mp4"):
        frames = rng.integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
        write_video(folder / name, frames, fps=10)
    (folder / "list.csv").write_text("path\nclip.mp4\n")
    return folder


@pytest.fixture
def folder(artifacts, tmp_path, monkeypatch):
    """A folder with the files that the page names."""
    shutil.copytree(artifacts, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command(folder, capsys):
    ran = set()
    for line in COMMANDS:
        program, *words = shlex.split(re.sub(r"\[[^]]*\]", "", line))
        assert program == "keras-t3d"
        if needs_camera_or_screen(words):
            continue
        with_options = shlex.split(re.sub(r"[][]", "", line))[1:]
        for command in {tuple(words), tuple(with_options)}:
            assert main(list(command)) == 0, line
        ran.add(words[0])
        named = {word for word in words if re.search(r"\.(csv|npz|parquet|png|mp4|json)$", word)}
        assert all((folder / name).is_file() for name in named), line
    assert ran == {"embed", "predict", "watch"}
    out = capsys.readouterr().out
    assert "film.mp4: mean of" in out
    assert "Wrote timeline.png" in out


def test_every_block_of_python(folder, capsys):
    assert len(CODE) >= 2
    for code in CODE:
        exec(compile(code, "docs", "exec"), {})
    assert re.search(r"0\.00 to 1\.50 s: (bright|dark)", capsys.readouterr().out)
    assert (folder / "annotated.mp4").stat().st_size > 0


@pytest.mark.parametrize("name", ["model.keras", "serving/t3d", "serving/t3d/1", "t3d.tflite"])
def test_every_kind_of_model(folder, name, capsys):
    assert main(["predict", name, "clip.mp4", "--views", "1"]) == 0
    assert "bright" in capsys.readouterr().out

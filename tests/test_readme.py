"""The commands and code of the README, at small size."""

import functools
import pathlib
import re
import shlex
import shutil

import pytest

from keras_t3d import models
from keras_t3d.cli import main

README_FOLDER = pathlib.Path(__file__).parents[1]
README = (README_FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4, "transition_filters": 4}
SMALL = {
    "train": "--clip.num_frames 8 --clip.resize 36 --clip.crop 32 --data.batch_size 4 --epochs 1 "
    "--min_steps 0",
    "probe": "--num-frames 8 --size 32",
}


def block(heading, language=""):
    """The first fenced block below a heading."""
    section = README.split(f"## {heading}\n")[1]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL).group(1)


@pytest.fixture
def folder(videos, shards, tmp_path, monkeypatch):
    """The folder that the README assumes: videos/, their shards, and one clip."""
    for split in ("train", "test"):
        for label in ("bright", "dark"):
            shutil.copytree(videos / split / label, tmp_path / "videos" / label, dirs_exist_ok=True)
    shutil.copy(next((videos / "test" / "dark").iterdir()), tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.fit
@pytest.mark.export
def test_lines_of_python(folder, shards, capsys, monkeypatch):
    monkeypatch.setattr(models, "T3D121", functools.partial(models.T3D121, **BLOCKS))
    shutil.copytree(shards, folder / "shards")
    code = block("Ten lines of Python", "python")
    for large, small in (
        ("num_frames=16, frame_stride=2, resize=128, crop=112", "num_frames=8, resize=36, crop=32"),
        ("batch_size=16", "batch_size=4"),
        ("epochs=10", "epochs=1, verbose=0"),
    ):
        assert large in code
        code = code.replace(large, small)
    exec(compile(code, "README.md", "exec"), {})
    assert "dark" in capsys.readouterr().out
    assert (folder / "serving" / "t3d" / "1" / "saved_model.pb").is_file()
    assert (folder / "t3d.tflite").is_file()


def test_own_network_of_the_networks_page():
    page = (README_FOLDER / "docs" / "reference" / "networks.md").read_text(encoding="utf-8")
    names = {}
    exec(
        compile(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], "networks.md", "exec"),
        names,
    )
    assert names["model"].class_names == ("run", "walk")


@pytest.mark.fit
@pytest.mark.export
def test_commands(folder, model_path, capsys):
    for line in block("Your own videos").splitlines():
        program, *words = shlex.split(line)
        assert program == "keras-t3d"
        if words[0] == "export":  # those of t3d_lite0 are tested in tests/deploy
            shutil.copy(model_path, folder / "runs" / "a" / "best.keras")
        assert main([*words, *SMALL.get(words[0], "").split()]) == 0, line
    assert "dark" in capsys.readouterr().out


PAGES = [README_FOLDER / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((README_FOLDER / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(README_FOLDER)))
def test_every_linked_file_exists(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target

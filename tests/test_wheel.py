"""The wheel and the sdist install and run in clean environments; notes come from the changelog."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("notes", ROOT / ".github" / "release_notes.py")
notes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(notes)
SOURCES = ("keras_t3d", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with both, built from a copy of what git tracks of the package."""
    pytest.importorskip("build", reason="needs build: make test EXTRAS=dev")
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    subprocess.run([sys.executable, "-m", "build", folder], check=True, capture_output=True)
    return folder / "dist"


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data_only(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"keras_t3d"}
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "keras_t3d").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("keras_t3d/")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_it_runs_where_it_is_installed(built, tmp_path, pattern):
    (package,) = built.glob(pattern)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, package], check=True, cwd=tmp_path)
    command = [environment / "bin" / "keras-t3d", "demo", "--quick", "--out", "demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "report" / "index.html").is_file()


def test_notes_are_the_section_of_the_version():
    changelog = "# Changelog\n\n## [Unreleased]\n\n- b\n\n## [0.1.0] - 2026-12-01\n\n- a\n"
    assert notes.release_notes(changelog, "0.1.0") == "# keras_t3d 0.1.0\n\n- a\n"
    assert notes.release_notes(changelog, "Unreleased").endswith("\n\n- b\n")
    with pytest.raises(ValueError, match=r"Unreleased, 0\.1\.0"):
        notes.release_notes(changelog, "0.2.0")

"""Empty files that stand for videos: listing opens none."""

import pathlib

import pytest

from keras_t3d.data.sources import Listing, SourceOptions, list_videos
from tests.conftest import SHARED_DATA

ANNOTATIONS = SHARED_DATA / "annotations"


def touch(root: pathlib.Path, *names: str) -> pathlib.Path:
    made = set()
    for name in names:
        path = root / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.touch()
    return root


def write(root: pathlib.Path, **texts: str) -> pathlib.Path:
    """Writes text files; a double underscore in a name stands for its dot."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (root / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return root


def official(*parts: str) -> pathlib.Path:
    """Path of an official list, or skips the test."""
    path = ANNOTATIONS.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the official lists in {ANNOTATIONS}")
    return path


def label_map(name: str) -> tuple[str, ...]:
    path = official("label_maps", f"{name}.txt")
    return tuple(path.read_text(encoding="utf-8").splitlines())


def counts(listing) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in listing.entries:
        found[entry.split] = found.get(entry.split, 0) + 1
    return found


def list_layout(layout: str, source: pathlib.Path, **options) -> Listing:
    """Lists a source with the SourceOptions given as keywords."""
    return list_videos(source, SourceOptions(layout=layout, **options))

"""The two text files that every artifact carries: its class names and its ClipSpec."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence

from keras_t3d.clips import ClipSpec

LABELS = "labels.txt"
CLIP_SPEC = "clip_spec.json"


def is_class_name(name: object) -> bool:
    """Whether a name can stand on one line of labels.txt."""
    return isinstance(name, str) and name != "" and name.isprintable() and name == name.strip()


def labels_text(class_names: Sequence[str]) -> str:
    """Returns the content of labels.txt: one class a line; its line is its id."""
    return "".join(f"{name}\n" for name in class_names)


def artifact_texts(class_names: Sequence[str], spec: ClipSpec) -> dict[str, str]:
    """Returns both files' contents, by name."""
    spec_text = json.dumps(spec.get_config(), indent=2) + "\n"
    return {LABELS: labels_text(class_names), CLIP_SPEC: spec_text}


def read_artifact(read: Callable[[str], bytes]) -> tuple[tuple[str, ...], ClipSpec]:
    """Returns class names and spec, given a function from a file's name to its content."""
    class_names = tuple(read(LABELS).decode("utf-8").splitlines())
    return class_names, ClipSpec.from_config(json.loads(read(CLIP_SPEC)))


def newest_version(folder: pathlib.Path) -> pathlib.Path:
    """Returns a SavedModel's folder: this one, or the one below with the largest number.

    Raises:
        ValueError: if there is none.
    """
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.isdecimal() and (path / "saved_model.pb").is_file()
    ]
    if not versions:
        raise ValueError(
            "Expected a SavedModel folder with saved_model.pb in it, or in a numbered version "
            f"below it, for example serving/t3d/1. Received: {folder}"
        )
    return max(versions, key=lambda path: int(path.name))

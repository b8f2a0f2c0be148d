"""Files of models: class names and ClipSpec in every artifact, the models of a run."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError, KerasT3DWarning

LABELS = "labels.txt"
CLIP_SPEC = "clip_spec.json"
STREAM = "stream.json"
SAVED_MODEL = "saved_model.pb"
OPENVINO_MODEL = "model.xml"
MODEL_SUFFIXES = (".keras", ".tflite", ".onnx", ".xml")
OPENVINO_SECTION = "keras_t3d"  # of the model's rt_info
# Of a run directory.
CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
BEST = "best.keras"
STUDENT = "student.keras"
LAST = "last.keras"


class RunDirectoryWarning(KerasT3DWarning):
    """A run directory was given for a model; the message names the model that is taken."""


def is_class_name(name: object) -> bool:
    """Returns whether a name fits on one line of labels.txt."""
    return isinstance(name, str) and name != "" and name.isprintable() and name == name.strip()


def labels_text(class_names: Sequence[str]) -> str:
    """Returns the content of labels.txt: one class per line, in the order of their ids."""
    return "".join(f"{name}\n" for name in class_names)


def artifact_texts(
    class_names: Sequence[str], clip_spec: ClipSpec, stream: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Returns the contents of the files by name.

    Args:
        class_names: one name per class.
        clip_spec: ClipSpec of the model.
        stream: description of a stream; None for a model of clips, which has no such file.
    """
    files = {CLIP_SPEC: clip_spec.get_config(), **({} if stream is None else {STREAM: stream})}
    texts = {name: json.dumps(value, indent=2) + "\n" for name, value in files.items()}
    return {LABELS: labels_text(class_names), **texts}


def read_artifact(read: Callable[[str], bytes]) -> tuple[tuple[str, ...], ClipSpec]:
    """Returns class names and ClipSpec; `read` returns the content of a file of that name."""
    class_names = tuple(read(LABELS).decode("utf-8").splitlines())
    return class_names, ClipSpec.from_config(json.loads(read(CLIP_SPEC)))


def openvino_texts(file: pathlib.Path) -> dict[str, str]:
    """Returns the texts by name that this package stored in an OpenVINO model, without OpenVINO.

    Args:
        file: the `model.xml`.
    """
    with contextlib.suppress(ElementTree.ParseError):
        section = ElementTree.parse(file).find(f"rt_info/{OPENVINO_SECTION}")
        if section is not None:
            return {entry.tag: entry.get("value", "") for entry in section}
    return {}


def read_stream(read: Callable[[str], bytes]) -> dict[str, Any] | None:
    """Returns the description of a stream, or None for a model of clips."""
    try:
        description: dict[str, Any] = json.loads(read(STREAM))
    except (KeyError, FileNotFoundError):
        return None
    return description


def check_model_exists(path: str | os.PathLike[str]) -> None:
    """Raises an InvalidArgumentError if there is no such file or folder, or it is no model."""
    if is_on_hub(path):
        return
    if not os.path.exists(path):
        raise InvalidArgumentError(f"No such model: {os.fspath(path)}", argument="model")
    if os.path.isfile(path) and not os.fspath(path).endswith(MODEL_SUFFIXES):
        raise InvalidArgumentError(
            f"`model` must be a file that ends in one of {', '.join(MODEL_SUFFIXES)}, or a folder, "
            f"for example runs/a/best.keras. Received: {os.fspath(path)}",
            argument="model",
        )


def is_on_hub(path: str | os.PathLike[str]) -> bool:
    """Returns whether a model is one of the Hugging Face Hub, such as `hf://user/name`."""
    return str(path).startswith("hf://")


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Returns whether a model is a folder that is not the directory of a run."""
    return os.path.isdir(path) and not os.path.isfile(os.path.join(path, CONFIG))


def model_file(path: str | os.PathLike[str]) -> str:
    """Returns the path of a model; for a run directory, that of its best model, with a warning.

    Raises:
        InvalidArgumentError: if it is the directory of a run that has no model yet.
    """
    folder = os.fspath(path)
    if os.path.isfile(os.path.join(folder, CONFIG)):
        for name in (BEST, STUDENT, LAST):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                text = f"{folder} is the directory of a run: its {name} is taken"
                warnings.warn(text, RunDirectoryWarning, stacklevel=3)
                return file
        if os.path.isfile(os.path.join(folder, ENVIRONMENT)):
            raise InvalidArgumentError(
                f"A run has a model from the end of its first epoch on. Received: {folder}, "
                f"without {BEST}"
            )
    return folder


def files_of_model(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Returns all files of a model on disk: those of a folder; of `model.xml`, also the weights."""
    model = pathlib.Path(path)
    if model.is_dir():
        return sorted(file for file in model.rglob("*") if file.is_file())
    weights = [model.with_suffix(".bin")] if model.suffix == ".xml" else []
    return [model, *(file for file in weights if file.is_file())]


def newest_version(folder: pathlib.Path, file: str = SAVED_MODEL) -> pathlib.Path:
    """Returns the folder that holds a model: this one, or the largest version number below it.

    Args:
        folder: folder of a version, or of all versions.
        file: name of the model's file in the folder of a version.

    Raises:
        InvalidArgumentError: if there is none.
    """
    versions = _versions(folder, file)
    if not versions:
        raise InvalidArgumentError(
            f"Expected a folder with {file} in it, or in a numbered version below it, for example "
            f"serving/t3d/1. Received: {folder}"
        )
    return versions[-1]


def has_version(folder: pathlib.Path, file: str) -> bool:
    """Returns whether a folder holds a model, itself or in a numbered version below it."""
    return bool(_versions(folder, file))


def _versions(folder: pathlib.Path, file: str) -> list[pathlib.Path]:
    if (folder / file).is_file():
        return [folder]
    below = folder.iterdir() if folder.is_dir() else ()
    numbered = [path for path in below if path.name.isdecimal() and (path / file).is_file()]
    return sorted(numbered, key=lambda path: int(path.name))

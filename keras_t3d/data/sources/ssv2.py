"""Layout `ssv2`: Something-Something v2, videos named by number and lists in JSON."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from keras_t3d.data.sources.annotation_files import (
    annotation_folder,
    read_lines,
    read_text,
)
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import videos_by_name

_LISTS = {"train": "train.json", "val": "validation.json", "test": "test.json"}
_PREFIX = "something-something-v2-"  # of the files' names in the first release


def list_ssv2(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos of Something-Something v2.

    Args:
        source: folder of `<id>.webm`, at any depth, or other encodings of them under the same
            name.
        options: SourceOptions. `annotations` is the folder of `labels.json`, and of at least one
            of `train.json`, `validation.json` and `test.json`. `test-answers.csv` holds the
            labels of the test videos (`id;label` in each line).

    Returns:
        A Listing; class ids are those of `labels.json`. Test videos without an
        answer are rejects; listed videos that are missing are absent.

    Raises:
        InvalidArgumentError: if the annotations do not exist.
        SourceError: if a list is missing or malformed, a label is not in `labels.json`, a video
            is listed twice, or no listed video is found.

    Reference:
        Goyal et al., The "something something" video database for learning and
        evaluating visual common sense, ICCV 2017, https://arxiv.org/abs/1706.04261
    """
    lists = annotation_folder(options, "labels.json, train.json and validation.json")
    class_names = _class_names(_named(lists, "labels.json"))
    known = set(class_names)
    answers = _answers(_named(lists, "test-answers.csv"))
    found = videos_by_name(source)
    list_paths = {split: _named(lists, name) for split, name in _LISTS.items()}
    if not any(path.is_file() for path in list_paths.values()):
        raise SourceError(
            f"`annotations` must hold at least one of {', '.join(_LISTS.values())}. "
            f"Received: {lists}"
        )
    videos = ListedVideos(source, options)
    for split, list_path in list_paths.items():
        for row in _rows(list_path) if list_path.is_file() else ():
            number = str(row["id"])
            where = f"video {number} of {list_path}"
            videos.check_new(number, f"again {where}")
            label = _without_brackets(row["template"]) if "template" in row else answers.get(number)
            if label is not None and label not in known:
                raise SourceError(
                    "A label, the template without brackets, must be in labels.json. "
                    f"Received: {label!r} for {where}"
                )
            if number not in found:
                videos.add_absent(f"{number}.webm")
            elif label is None:
                videos.reject(found[number], "no label in test-answers.csv")
            else:
                videos.add(found[number], label, split)
    return videos.listing(class_names)


def _named(lists: pathlib.Path, name: str) -> pathlib.Path:
    prefixed = lists / (_PREFIX + name)
    return prefixed if prefixed.is_file() else lists / name


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _class_names(path: pathlib.Path) -> tuple[str, ...]:
    ids = _json(path)
    try:
        names = {int(number): _without_brackets(template) for template, number in ids.items()}
    except (AttributeError, TypeError, ValueError):
        names = {}
    if sorted(names) != list(range(len(ids))) or len(set(names.values())) < len(ids):
        raise SourceError(
            "labels.json must number the templates from 0, for example "
            f'{{"Holding something": "0", "Pushing something": "1"}}. Received: {path}'
        )
    return tuple(names[number] for number in range(len(names)))


def _rows(path: pathlib.Path) -> list[dict[str, Any]]:
    rows = _json(path)
    is_list = isinstance(rows, list) and all(isinstance(row, dict) and "id" in row for row in rows)
    is_labelled = path.name.endswith(_LISTS["test"]) or (
        is_list and all(isinstance(row.get("template"), str) for row in rows)
    )
    if not (is_list and is_labelled):
        raise SourceError(
            "The file must be a list of videos, for example "
            f'[{{"id": "78687", "template": "Holding [something]"}}]. Received: {path}'
        )
    return rows


def _json(path: pathlib.Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SourceError(f"The file must be JSON ({error}). Received: {path}") from None


def _answers(path: pathlib.Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    answers = {}
    for line, text in read_lines(path):
        number, separator, label = text.partition(";")
        if not separator:
            raise SourceError(
                "A line must be <id>;<label>, for example '1420;Holding something'. "
                f"Received: {text!r} in line {line} of {path}"
            )
        answers[number.strip()] = _without_brackets(label.strip())
    return answers


LAYOUT = DatasetLayout(
    list_ssv2, required={"annotations": "labels"}, optional=("only_present_classes",)
)

"""All layouts by their names, and the options that each one knows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from keras_t3d.data.sources.csv_file import list_csv
from keras_t3d.data.sources.folder import list_folder
from keras_t3d.data.sources.hmdb51 import list_hmdb51
from keras_t3d.data.sources.jhmdb import list_jhmdb
from keras_t3d.data.sources.kinetics import list_kinetics
from keras_t3d.data.sources.listing import Listing
from keras_t3d.data.sources.ssv2 import list_ssv2
from keras_t3d.data.sources.ucf101 import list_ucf101
from keras_t3d.data.sources.unlabelled import list_unlabelled


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How a layout lists its videos.

    Attributes:
        listed: function from the source and the options to a Listing.
        needs: dict from the options that must be given to an example of each.
        may_have: the other options.
    """

    listed: Callable[..., Listing]
    needs: dict[str, str] = dataclasses.field(default_factory=dict)
    may_have: tuple[str, ...] = ()


_BY_HASH = ("split_ratio", "group_regex")
_KNOWN = {
    "folder": _Layout(list_folder, may_have=_BY_HASH),
    "csv": _Layout(list_csv, may_have=_BY_HASH),
    "unlabelled": _Layout(list_unlabelled, may_have=_BY_HASH),
    "ucf101": _Layout(list_ucf101, {"annotations": "ucfTrainTestlist", "split_id": "1"}),
    "hmdb51": _Layout(list_hmdb51, {"annotations": "testTrainMulti_7030_splits", "split_id": "1"}),
    "jhmdb": _Layout(list_jhmdb, {"annotations": "splits", "split_id": "1"}),
    "kinetics": _Layout(list_kinetics, {"annotations": "annotations/train.csv"}),
    "ssv2": _Layout(list_ssv2, {"annotations": "labels"}),
}

LAYOUTS: tuple[str, ...] = tuple(_KNOWN)


def list_videos(
    layout: str,
    source: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    split_id: int | None = None,
    split_ratio: str | None = None,
    group_regex: str | None = None,
) -> Listing:
    """Lists the videos of a dataset in any layout.

    Args:
        layout: str. One of `LAYOUTS`.
        source: folder of videos, or csv file for the layout `csv`.
        annotations: folder or file of a dataset's lists. Needed for `ucf101`, `hmdb51`,
            `jhmdb`, `kinetics` and `ssv2`. Defaults to `None`.
        split_id: int, 1 to 3. Needed for `ucf101`, `hmdb51` and `jhmdb`. Defaults to
            `None`.
        split_ratio: str. For `folder`, `csv` and `unlabelled`; see `parse_split_ratio`.
            Defaults to `None`.
        group_regex: str. For the same; see `split_by_hash`. Defaults to `None`.

    Returns:
        A Listing.

    Raises:
        ValueError: if the layout is unknown, knows no such option or lacks one, or for
            what the layout's own function says.

    Example:

    ```python
    listing = list_videos("ucf101", "UCF-101", annotations="ucfTrainTestlist", split_id=1)
    ```
    """
    if layout not in _KNOWN:
        raise ValueError(f"--layout must be one of {', '.join(LAYOUTS)}. Received: {layout!r}")
    known = _KNOWN[layout]
    all_options = {
        "annotations": annotations,
        "split_id": split_id,
        "split_ratio": split_ratio,
        "group_regex": group_regex,
    }
    options = {name: value for name, value in all_options.items() if value is not None}
    for name, value in options.items():
        if name not in (*known.needs, *known.may_have):
            others = [n for n, other in _KNOWN.items() if name in (*other.needs, *other.may_have)]
            raise ValueError(
                f"--layout {layout} knows no {_flag(name)}, which is for {', '.join(others)}. "
                f"Received: {_flag(name)} {value}"
            )
    for name, example in known.needs.items():
        if name not in options:
            raise ValueError(
                f"--layout {layout} needs {_flag(name)}, for example {_flag(name)} {example}"
            )
    return known.listed(source, **options)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

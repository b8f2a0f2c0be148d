"""The model card that stands beside a model on the Hugging Face Hub."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.hub.options import ModelCardOptions
from keras_t3d.version import __version__

_NOT_STATED = "not stated"
_MOST_NAMED = 100  # classes


def model_card(model: Any, repository: str, options: ModelCardOptions | None = None) -> str:
    """Returns the model card of a model, as Markdown.

    Args:
        model: the VideoClassifier.
        repository: name of the repository, such as `user/name`.
        options: license, data and accuracy; None states none of them.

    Raises:
        InvalidArgumentError: if the report cannot be read.

    Example:

    ```python
    print(model_card(model, "user/name", ModelCardOptions(license="apache-2.0")))
    ```

    Reference:
        https://huggingface.co/docs/hub/model-cards
    """
    options = options or ModelCardOptions()
    metrics = None if options.report is None else _read_metrics(options.report)
    tags = json.dumps(["keras_t3d", "video-classification", model.name])
    clip_spec = model.clip_spec
    rate = "" if clip_spec.fps is None else f" at {clip_spec.fps:g} frames per second"
    crop = " x ".join(map(str, clip_spec.crop_size))
    return f"""\
---
library_name: keras
license: {options.license}
pipeline_tag: video-classification
tags: {tags}
---

# {repository.rpartition("/")[2]}

A video classifier of {len(model.class_names)} classes, made with keras_t3d {__version__}.

| | |
| --- | --- |
| network | {model.name} ({type(model).__name__}), {model.count_params():,} parameters |
| data | {options.data or _NOT_STATED} |
| license | {options.license} |
| input | clips of {clip_spec.num_frames} frames, one of every {clip_spec.frame_stride}{rate}; \
short side {clip_spec.resize}, centre {crop}; RGB from 0 to 255 |
| top-1 | {_accuracy(metrics)} |

## Use

```
pip install keras-t3d huggingface_hub
keras-t3d predict hf://{repository} clip.mp4
```

```python
import keras
import keras_t3d.models  # registers the classes of the network

model = keras.saving.load_model("hf://{repository}")
keras_t3d.inference.predict_video(model, "clip.mp4")
```

`model.clip_spec` and `model.class_names` are part of the model.

## Clip spec

```json
{json.dumps(clip_spec.get_config(), indent=2)}
```

## Classes

{_classes(model.class_names)}
"""


def _accuracy(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return _NOT_STATED
    low, high = metrics["intervals"]["top1"]
    split = metrics["protocol"].get("split", "")
    videos = f"{metrics['videos']} {split} videos".replace("  ", " ")
    return (
        f"{metrics['top1']:.4f} on {videos} (95 % interval {low:.4f} to {high:.4f}; chance "
        f"{metrics['chance']:.4f})"
    )


def _read_metrics(report: str | os.PathLike[str]) -> dict[str, Any]:
    path = pathlib.Path(report)
    path = path / "metrics.json" if path.is_dir() else path
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _accuracy(metrics)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgumentError(
            "`report` must be a folder that `keras-t3d evaluate` wrote, or its metrics.json, for "
            f"example report/ ({error!r}). Received: {path}",
            argument="report",
        ) from None
    return metrics


def _classes(names: tuple[str, ...]) -> str:
    if not names:
        return "None: the model returns features."
    shown = [f"`{name}`" for name in names[:_MOST_NAMED]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "")

"""Networks that `jhmdb.py` trains, in comparable pairs, with their sizes and candidate settings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_t3d.training.command_line import config_parser, parse_config
from keras_t3d.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        title: name in the table.
        family: rows of one family are compared, so they train with one setting.
        network: a name of `keras_t3d.models`.
    """

    title: str
    family: str
    network: str


ROWS = {
    "t3d": Row("T3D", "dense", "t3d_121"),
    "densenet3d": Row("DenseNet3D", "dense", "densenet3d_121"),
    "resnet3d": Row("ResNet3D-18", "residual", "resnet3d_18"),
    "stc": Row("STC-ResNet3D-18", "residual", "stc_resnet3d_18"),
}


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of networks and clips.

    Attributes:
        clip: fields of ClipSpec.
        batch_size: clips per batch.
        dtypes: dtype policy of each family's networks.
        families: arguments that the networks of a family share; `{}` selects those of the papers.
        t3d: further arguments of T3D.
    """

    clip: dict[str, int]
    batch_size: int
    dtypes: dict[str, str]
    families: dict[str, dict[str, Any]]
    t3d: dict[str, Any]


def _dense(blocks: list[int], growth_rate: int, stem_filters: int) -> dict[str, Any]:
    # A stem of 5x5, as 7x7 pixels are a tenth of a small frame.
    stem = {"stem_filters": stem_filters, "stem_kernel": [3, 5, 5]}
    return {"block_layers": blocks, "growth_rate": growth_rate, **stem}


def _residual(width: int) -> dict[str, Any]:
    """ResNet-18 at `width` of 64."""
    stem = {"stem_filters": width, "stem_kernel": [3, 5, 5]}
    return {"stage_filters": [width, 2 * width, 4 * width, 8 * width], **stem}


_FLOAT32 = {"dense": "float32", "residual": "float32"}
# On a core with AMX a step of T3D takes 0.59 of its time in float32; one of a narrow
# ResNet3D-18 takes 1.7 times it.
_FASTER_ON_CPU = {"dense": "mixed_bfloat16", "residual": "float32"}
SIZES = {
    "tiny": Size(
        {"num_frames": 8, "frame_stride": 1, "resize": 36, "crop": 32},
        4,
        _FLOAT32,
        {"dense": _dense([1, 1], 8, 8), "residual": _residual(4)},
        {"transition_filters": 8},
    ),
    "small": Size(  # two CPU cores
        {"num_frames": 16, "frame_stride": 2, "resize": 72, "crop": 64},
        16,
        _FASTER_ON_CPU,
        {"dense": _dense([4, 6, 6], 16, 32), "residual": _residual(24)},
        {"transition_filters": 24},
    ),
    "medium": Size(  # two patient CPU cores
        {"num_frames": 16, "frame_stride": 2, "resize": 108, "crop": 96},
        16,
        _FASTER_ON_CPU,
        {"dense": _dense([4, 8, 8, 6], 24, 48), "residual": _residual(32)},
        {"transition_filters": 48},
    ),
    "full": Size(  # a GPU
        {"num_frames": 16, "frame_stride": 2, "resize": 128, "crop": 112},
        32,
        {"dense": "mixed_bfloat16", "residual": "mixed_bfloat16"},
        {"dense": {}, "residual": {}},
        {},
    ),
}

# 660 training clips are few: all but `plain` hold back what a network can learn by heart.
_PLAIN: dict[str, Any] = {
    "data.augmentation.crop": "random_resized",
    "data.augmentation.min_area": 0.4,
    "data.augmentation.flip": True,
    "model.dropout": 0.5,
    "optimizer.name": "sgd",
    "optimizer.learning_rate": 0.05,
    "optimizer.l2": 5e-4,
    "optimizer.warmup_epochs": 5,
    "optimizer.schedule": "cosine",
    "epochs": 60,
}
_REGULARISED = {
    **_PLAIN,
    "data.augmentation.brightness": 0.4,
    "data.augmentation.contrast": 0.4,
    "data.augmentation.saturation": 0.4,
    "data.augmentation.hue": 0.05,
    "loss.label_smoothing": 0.1,
    "optimizer.l2": 1e-3,
    "optimizer.ema": 0.99,
}
_ADAMW = {
    **_REGULARISED,
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "optimizer.l2": 0.0,
    "optimizer.weight_decay": 0.05,
    "optimizer.decay_all": False,
    "optimizer.global_clipnorm": 1.0,
}
_MIXED = {**_ADAMW, "data.augmentation.mixup": 0.4, "data.augmentation.cutmix": 1.0}
CANDIDATES = {
    "plain": _PLAIN,
    "regularised": _REGULARISED,
    "adamw": _ADAMW,
    "mixed": _MIXED,
    "distorted": {
        **_ADAMW,
        "data.augmentation.rand_augment": 2,
        "data.augmentation.erasing": 0.25,
    },
    "consecutive": {**_ADAMW, "clip.frame_stride": 1},
    "long": {**_REGULARISED, "epochs": 150, "optimizer.warmup_epochs": 10},
    "long_mixed": {**_MIXED, "epochs": 150, "optimizer.warmup_epochs": 10},
}
_BASE_BATCH_SIZE = 16  # that the rates above are meant for


def make_config(
    row: str,
    size: str,
    candidate: str,
    shards: Path,
    validation: str | None,
    seed: int,
    epochs: int | None = None,
) -> TrainConfig:
    """Makes the configuration of a run.

    Args:
        row: a key of `ROWS`.
        size: a key of `SIZES`.
        candidate: a key of `CANDIDATES`.
        shards: folder of the shards.
        validation: split that is scored after each epoch; None for none.
        seed: seed of weights and order.
        epochs: replaces the candidate's number of epochs, without warm-up.

    Returns:
        The configuration.
    """
    chosen, sizes = ROWS[row], SIZES[size]
    options = sizes.families[chosen.family] | (sizes.t3d if row == "t3d" else {})
    values = {
        "model.name": chosen.network,
        "model.dtype": sizes.dtypes[chosen.family],
        "model.options": options,
        **{f"clip.{name}": value for name, value in sizes.clip.items()},
        "data.shards": str(shards),
        "data.validation_split": validation,
        "data.batch_size": sizes.batch_size,
        "optimizer.base_batch_size": _BASE_BATCH_SIZE,
        "seed": seed,
        **CANDIDATES[candidate],
    }
    if epochs is not None:
        values |= {"epochs": epochs, "optimizer.warmup_epochs": 0}
    words = [f"--{name}={_word(value)}" for name, value in values.items()]
    return parse_config(config_parser(), words)[0]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

"""Starts, sizes, and settings of the three trainings of `transfer_study.py`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jhmdb_settings import CANDIDATES

from keras_t3d.training.command_line import config_parser, parse_config
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig

PERCENTS = (5, 10, 25, 100)


@dataclasses.dataclass(frozen=True)
class Start:
    """Initial weights of fine-tuning.

    Attributes:
        title: name in the table.
        objective: kind of the pre-training; None for none.
        inflated: start from the teacher's inflated weights.
        cached: compute the teacher's features once, of the centre view; otherwise the teacher sees
            the same window and flip as the student.
    """

    title: str
    objective: str | None = None
    inflated: bool = False
    cached: bool = True


STARTS = {
    "random": Start("random weights"),
    "inflated": Start("inflated teacher", inflated=True),
    "matching": Start("matching (the papers')", "matching"),
    "inflated_matching": Start("inflated, then matching", "matching", inflated=True),
    "matching_live": Start(
        "matching, teacher running on the student's view", "matching", cached=False
    ),
    "regression": Start("feature regression", "regression"),
    "contrast": Start("contrast", "contrast"),
}


@dataclasses.dataclass(frozen=True)
class TeacherSettings:
    """Training of the 2D network on stills.

    Attributes:
        epochs: number of epochs.
        batch_size: stills per batch.
        learning_rate: initial rate of AdamW, cosine to zero.
        weight_decay: weight decay of AdamW.
        looks: number of classes of drawn stills; None if stills are frames of videos.
        per_look: drawn stills per class.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    looks: int | None = None
    per_look: int = 0


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Generated videos of the motion set.

    Attributes:
        train, test: videos per class.
        side: height and width of a frame in pixels.
        num_frames: frames per video.
    """

    train: int
    test: int
    side: int = 64
    num_frames: int = 32


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of clips and networks, and duration of training.

    Attributes:
        clip: fields of ClipSpec.
        network: name of the student in `keras_t3d.models`.
        options: arguments of the student; `{}` selects those of the papers.
        dtype: dtype policy of the student.
        batch_size: clips per batch in pre-training and fine-tuning.
        teacher: settings of the teacher; its blocks, growth and stem are those of `options`.
        pretraining: values by dotted key.
        pretraining_epochs: epochs of pre-training.
        finetuning: values by dotted key.
        epochs: epochs of fine-tuning by percent of the labels. An epoch has the same number of
            clips for every percent: all training videos, or several passes over fewer.
        drawn: generated videos; None for real videos.
    """

    clip: dict[str, Any]
    network: str
    options: dict[str, Any]
    dtype: str
    batch_size: int
    teacher: TeacherSettings
    pretraining: dict[str, Any]
    pretraining_epochs: int
    finetuning: dict[str, Any]
    epochs: dict[int, int]
    drawn: Drawn | None = None


def _dense(blocks: list[int], growth_rate: int, stem_filters: int) -> dict[str, Any]:
    stem = {"stem_filters": stem_filters, "stem_kernel": [3, 5, 5]}
    return {"block_layers": blocks, "growth_rate": growth_rate, **stem}


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


_CLIP: dict[str, Any] = {"num_frames": 8, "frame_stride": 4, "resize": 72, "crop": 64}
_FULL_CLIP = {"num_frames": 16, "frame_stride": 2, "resize": 128, "crop": 112}
_MOTION_CLIP = {"num_frames": 16, "frame_stride": 1, "resize": 54, "crop": 48}
_TINY_CLIP = {"num_frames": 8, "frame_stride": 1, "resize": 36, "crop": 32}

_REAL_WINDOWS = {
    "data.augmentation.crop": "random_resized",
    "data.augmentation.min_area": 0.4,
    "data.augmentation.flip": True,
}
# A mirror turns left into right.
_MOTION_WINDOWS = {"data.augmentation.crop": "random", "data.augmentation.flip": False}
_PRETRAINING = {
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "optimizer.weight_decay": 0.05,
    "optimizer.decay_all": False,
    "optimizer.global_clipnorm": 1.0,
}
_REAL_FINETUNING = _without(CANDIDATES["adamw"], "epochs", "optimizer.warmup_epochs")
_MOTION_FINETUNING = {  # the demo's
    **_MOTION_WINDOWS,
    "optimizer.name": "sgd",
    "optimizer.learning_rate": 0.05,
    "optimizer.weight_decay": 1e-4,
}
_STILLS = TeacherSettings(epochs=5, learning_rate=2e-3, looks=8, per_look=3000)

DATASETS = {
    "jhmdb": {
        "tiny": Size(
            _TINY_CLIP,
            "densenet3d_121",
            _dense([1, 1], 8, 8),
            "float32",
            4,
            TeacherSettings(epochs=1, batch_size=8),
            {**_PRETRAINING, **_REAL_WINDOWS, "objective.features": 32, "objective.hidden": [16]},
            1,
            _REAL_FINETUNING,
            dict.fromkeys(PERCENTS, 1),
            Drawn(8, 2, 40, 16),
        ),
        "small": Size(  # two CPU cores: of clips of up to 40 frames every fourth
            _CLIP,
            "densenet3d_121",
            _dense([4, 6, 6], 16, 32),
            "mixed_bfloat16",  # faster on a core with AMX: see jhmdb_settings.py
            16,
            TeacherSettings(epochs=80),
            {**_PRETRAINING, **_REAL_WINDOWS},
            60,
            _REAL_FINETUNING,
            {5: 10, 10: 12, 25: 18, 100: 36},
        ),
        "full": Size(  # a GPU
            _FULL_CLIP,
            "t3d_121",
            {},
            "mixed_bfloat16",
            32,
            TeacherSettings(epochs=80),
            {**_PRETRAINING, **_REAL_WINDOWS},
            100,
            _REAL_FINETUNING,
            {5: 24, 10: 30, 25: 50, 100: 100},
        ),
    },
    "motion": {
        "tiny": Size(
            _TINY_CLIP,
            "densenet3d_121",
            _dense([1, 1], 8, 8),
            "float32",
            4,
            TeacherSettings(epochs=1, batch_size=8, looks=3, per_look=6),
            {**_PRETRAINING, **_MOTION_WINDOWS, "objective.features": 32, "objective.hidden": [16]},
            1,
            _MOTION_FINETUNING,
            dict.fromkeys(PERCENTS, 1),
            Drawn(8, 2, 40, 16),
        ),
        "small": Size(
            _MOTION_CLIP,
            "densenet3d_121",
            {**_dense([2, 3, 3], 16, 24), "bottleneck_factor": 2},
            "float32",
            16,
            _STILLS,
            {**_PRETRAINING, **_MOTION_WINDOWS},
            15,
            _MOTION_FINETUNING,
            {5: 3, 10: 4, 25: 5, 100: 8},
            Drawn(120, 25),
        ),
        "full": Size(
            {**_FULL_CLIP, "frame_stride": 1},
            "t3d_121",
            {},
            "mixed_bfloat16",
            32,
            dataclasses.replace(_STILLS, epochs=10, looks=16),
            {**_PRETRAINING, **_MOTION_WINDOWS},
            30,
            _MOTION_FINETUNING,
            {5: 10, 10: 12, 25: 16, 100: 24},
            Drawn(120, 25, 128),
        ),
    },
}


def make_pretraining(
    size: Size, start: Start, shards: Path, teacher: Path, seed: int
) -> PretrainConfig:
    """Makes the configuration of a pre-training, validated on the split `val`.

    Args:
        size: size of clips and networks.
        start: start with an objective.
        shards: folder of the shards.
        teacher: `.keras` file of the teacher.
        seed: seed of weights and order.
    """
    values = {
        **_common(size, shards, seed, size.pretraining_epochs),
        **size.pretraining,
        "data.validation_split": "val",
        "teacher.network": str(teacher),
        "teacher.preprocessing": "torch",
        "objective.kind": start.objective,
        "inflate": "teacher" if start.inflated else None,
        "cache_features": start.cached,
    }
    parser = config_parser(config_class=PretrainConfig)
    return parse_config(parser, _words(values), PretrainConfig)[0]


def make_finetuning(size: Size, percent: int, shards: Path, seed: int) -> TrainConfig:
    """Makes the configuration of a fine-tuning, which is the same for every start.

    Args:
        size: size of clips and networks.
        percent: share of the labels.
        shards: folder that `labelled_shards` returned.
        seed: seed of weights and order.
    """
    values = {
        **_common(size, shards, seed, size.epochs[percent]),
        **size.finetuning,
        "data.validation_split": None,  # nothing is chosen: the last epoch's network counts
    }
    return parse_config(config_parser(), _words(values))[0]


def _common(size: Size, shards: Path, seed: int, epochs: int) -> dict[str, Any]:
    return {
        "model.name": size.network,
        "model.dtype": size.dtype,
        "model.options": size.options,
        **{f"clip.{name}": value for name, value in size.clip.items()},
        "data.shards": str(shards),
        "data.batch_size": size.batch_size,
        "optimizer.warmup_epochs": epochs / 10,
        "checkpoints.keep": 1,  # of many runs
        "epochs": epochs,
        "seed": seed,
    }


def _words(values: dict[str, Any]) -> list[str]:
    return [
        f"--{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
    ]


@dataclasses.dataclass(frozen=True)
class Folders:
    """Paths of all files of a dataset, size and seed.

    Attributes:
        out: folder of all runs.
        dataset: name of the dataset.
        size: name of the size.
        seed: seed of the run.
    """

    out: Path
    dataset: str
    size: str
    seed: int

    @property
    def videos(self) -> Path:
        """Folder of `shards/` and `films.json`; sizes share real videos, but not generated ones."""
        drawn = DATASETS[self.dataset][self.size].drawn is not None
        return self.out / self.dataset / (f"videos_{self.size}" if drawn else "videos")

    @property
    def choosing(self) -> Path:
        return self.videos / "shards" / "choosing"

    @property
    def final(self) -> Path:
        return self.videos / "shards" / "final"

    @property
    def of_size(self) -> Path:
        return self.out / self.dataset / self.size

    @property
    def of_seed(self) -> Path:
        return self.of_size / f"seed{self.seed}"

    @property
    def teacher(self) -> Path:
        return self.of_seed / "teacher.keras"

    @property
    def inflated(self) -> Path:
        return self.of_seed / "inflated.keras"

    @property
    def match(self) -> Path:
        return self.of_seed / "match.json"

    def pretrained(self, start: str) -> Path:
        return self.of_seed / "pretrain" / start

    def finetuned(self, start: str, percent: int) -> Path:
        return self.of_seed / "finetune" / start / f"{percent:03d}"

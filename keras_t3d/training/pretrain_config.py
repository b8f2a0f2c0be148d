"""Configuration of a pretraining: the keys of a recipe for `keras-t3d pretrain`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from keras_t3d.training.config import RunConfig
from keras_t3d.training.validation import check_values


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """The 2D network that teaches; its weights do not change.

    Args:
        network: EfficientNetLite0, 1 or 2; a class of `keras.applications`, for example
            DenseNet121; or the path of a `.keras` file with a 2D network.
        weights: weights of a network by name: imagenet, a weights file without the classifying
            layer, or none (random weights, for tests).
        preprocessing: how pixels of 0..255 are scaled for the teacher: none, zero_one, tf,
            torch, caffe, or auto, that of a network by name.
        image_size: side of the squares that frames are resized to, in pixels; null keeps the
            size of the clip, unless the network has a fixed input size.
    """

    network: str = "DenseNet121"
    weights: str = "imagenet"
    preprocessing: Literal["auto", "none", "zero_one", "tf", "torch", "caffe"] = "auto"
    image_size: int | None = None

    def __post_init__(self) -> None:
        size, is_file = self.image_size, self.network.endswith((".keras", ".h5"))
        given = f"given for a network file such as {self.network}, for example zero_one"
        left_out = f"left out for {self.network}, which has its own weights"
        check_values(
            self,
            "teacher",
            ("network", self.network != "", "a name or a path, for example DenseNet121"),
            ("weights", self.weights != "", "imagenet, a weights file, or none"),
            ("preprocessing", not is_file or self.preprocessing != "auto", given),
            ("weights", not is_file or self.weights == "imagenet", left_out),
            ("image_size", size is None or size >= 1, "at least 1, for example 224, or null"),
        )


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """The objective, computed from the teacher's features averaged over a clip's frames.

    Args:
        kind: matching (predicts whether frames and clip belong together, as in the papers),
            regression (predicts the teacher's features) or contrast (predicts which clip of the
            batch belongs to the frames: InfoNCE).
        features: for matching: width that the features of both networks are projected to,
            where theirs differ.
        hidden: for matching: widths of the hidden layers between features and score.
        negatives: for matching: non-matching pairs per matching pair.
        contrast_features: for contrast: width that the features of both are projected to.
        temperature: for contrast: divisor of the similarities.
    """

    kind: Literal["matching", "regression", "contrast"] = "matching"
    features: int = 1024
    hidden: tuple[int, ...] = (512, 128)
    negatives: int = 1
    contrast_features: int = 128
    temperature: float = 0.1

    def __post_init__(self) -> None:
        is_hidden_valid = len(self.hidden) > 0 and all(width >= 1 for width in self.hidden)
        check_values(
            self,
            "objective",
            ("features", self.features >= 1, "at least 1, for example 1024"),
            ("negatives", self.negatives >= 1, "at least 1, for example 1"),
            ("contrast_features", self.contrast_features >= 1, "at least 1, for example 128"),
            ("hidden", is_hidden_valid, "widths of at least 1, for example [512, 128]"),
            ("temperature", self.temperature > 0, "above 0, for example 0.1"),
        )


@dataclasses.dataclass(frozen=True)
class PretrainConfig(RunConfig):
    """Configuration of `pretrain`: 2D to 3D supervision transfer from unlabelled clips.

    Args:
        teacher: the 2D network that teaches.
        objective: the objective.
        inflate: initial weights of the student: null, random; teacher, the teacher's weights
            inflated to 3D; or the path of a 2D network of the same depth, a `.keras` file or a
            torchvision checkpoint.
        inflate_mode: how a 2D kernel is inflated: mean, spread evenly over time, or centre, in
            the middle frame only.
        cache_features: whether the teacher's features of the centre view, unflipped, are
            computed once and stored beside the shards, instead of those of each clip's own view.

    Raises:
        InvalidArgumentError: if a value is out of its range.
    """

    epochs: int = 150
    teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    inflate: str | None = None
    inflate_mode: Literal["mean", "centre"] = "mean"
    cache_features: bool = False

    command: ClassVar[str] = "pretrain"

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, augmentation = self.objective.kind, self.data.augmentation
        compared = self.objective.negatives + 1 if kind == "matching" else 2
        smallest = compared * self.optimizer.accumulation * augmentation.repeats
        no_mixing = "0: mixed clips do not belong to the frames of one video"
        check_values(
            self,
            "",
            ("model.dropout", self.model.dropout == 0, "0: a student has no classifying layer"),
            ("model.freeze", not self.model.freeze, "left out: the whole student is trained"),
            ("data.augmentation.mixup", augmentation.mixup == 0, no_mixing),
            ("data.augmentation.cutmix", augmentation.cutmix == 0, no_mixing),
            (
                "data.augmentation.no_flip_classes",
                not augmentation.no_flip_classes,
                "left out, as labels are not read; use `data.augmentation.flip`",
            ),
            ("inflate", self.inflate != "", "teacher, a path, or null"),
            (
                "data.batch_size",
                kind == "regression" or self.data.batch_size >= smallest,
                f"at least {smallest} for {kind}: {compared} videos in each of the "
                f"{self.optimizer.accumulation} accumulation steps, {augmentation.repeats} clips "
                "of each video",
            ),
        )

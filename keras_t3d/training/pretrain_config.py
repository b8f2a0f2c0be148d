"""The typed configuration of a pretraining: what a recipe for `keras-t3d pretrain` may say."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from keras_t3d.clips import ClipSpec
from keras_t3d.training.config import (
    CheckpointConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    check_run,
    require,
    to_yaml,
)


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """Which 2D network teaches; it stays as it is.

    Args:
        network: a class of `keras.applications`, such as DenseNet121 or ResNet50, or the path
            of a `.keras` file with a 2D network.
        weights: of a network of keras.applications: imagenet, a file of weights without the
            classifying layer, or none, random ones, which are for trying out.
        preprocessing: what the teacher wants pixels of 0..255 to become: none, zero_one, tf,
            torch, caffe, or auto, as keras.applications has it for that network.
        image_size: frames are resized to squares of this many pixels; null leaves them as the
            clip has them, unless the network reads one size only.
    """

    network: str = "DenseNet121"
    weights: str = "imagenet"
    preprocessing: Literal["auto", "none", "zero_one", "tf", "torch", "caffe"] = "auto"
    image_size: int | None = None

    def __post_init__(self) -> None:
        size = self.image_size
        require("teacher.network", self.network, self.network != "", "a name, as DenseNet121")
        require(
            "teacher.weights",
            self.weights,
            self.weights != "",
            "imagenet, a file of weights, or none",
        )
        is_file = self.network.endswith((".keras", ".h5"))
        require(
            "teacher.preprocessing",
            self.preprocessing,
            not is_file or self.preprocessing != "auto",
            f"named, for example zero_one, as {self.network} does not say what it expects",
        )
        require(
            "teacher.weights",
            self.weights,
            not is_file or self.weights == "imagenet",
            f"left out, as {self.network} has weights of its own",
        )
        require(
            "teacher.image_size",
            size,
            size is None or size >= 1,
            "at least 1, for example 224, or null",
        )


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """What the student learns from the teacher's features of a clip's frames, averaged.

    Args:
        kind: matching (do frames and clip belong together, as in the papers), regression
            (the student's features become the teacher's) or contrast (which of the batch's
            clips belongs to these frames: InfoNCE).
        features: for matching: width that features of both are projected to, where theirs is
            another.
        hidden: for matching: widths of the layers between both features and the answer.
        negatives: for matching: pairs that do not belong together for each one that does.
        contrast_features: for contrast: width that features of both are projected to.
        temperature: for contrast: what similarities are divided by.
    """

    kind: Literal["matching", "regression", "contrast"] = "matching"
    features: int = 1024
    hidden: tuple[int, ...] = (512, 128)
    negatives: int = 1
    contrast_features: int = 128
    temperature: float = 0.1

    def __post_init__(self) -> None:
        for name, example in (("features", 1024), ("negatives", 1), ("contrast_features", 128)):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 1, f"at least 1, for example {example}")
        hidden, temperature = self.hidden, self.temperature
        require(
            "objective.hidden",
            hidden,
            len(hidden) > 0 and all(width >= 1 for width in hidden),
            "widths of at least 1, for example [512, 128]",
        )
        require("objective.temperature", temperature, temperature > 0, "above 0, for example 0.1")


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """One pretraining: 2D to 3D supervision transfer, from unlabelled clips.

    Args:
        model: which network is the student.
        clip: what a clip is.
        data: which clips; their labels are not read.
        teacher: which 2D network teaches.
        objective: what the student learns from it.
        inflate: what the student starts from: null, random weights; teacher, the teacher's,
            inflated to 3D; or the path of a 2D network of its depth, a `.keras` file or a
            checkpoint of torchvision.
        inflate_mode: how a 2D kernel becomes a 3D one: mean, spread evenly over time, or
            centre, in the middle frame alone.
        optimizer: how weights move; its stages are the student's.
        checkpoints: from where a run goes on.
        epochs: passes over the training split.
        precise_bn_batches: training batches by which the student's batch norm statistics are
            measured afresh before each evaluation; 0 leaves the moving averages.
        deterministic: whether TensorFlow gives the same bits in each run; slower on GPUs.
        seed: seed of weights, order, clips, windows and flips.
        cache_features: whether the teacher's features of the centre view, unflipped, are
            computed once and kept beside the shards, in place of those of each clip's own view.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    clip: ClipSpec = dataclasses.field(default_factory=ClipSpec)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    inflate: str | None = None
    inflate_mode: Literal["mean", "centre"] = "mean"
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    checkpoints: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    epochs: int = 150
    precise_bn_batches: int = 0
    deterministic: bool = False
    seed: int = 0
    cache_features: bool = False

    command: ClassVar[str] = "pretrain"

    def __post_init__(self) -> None:
        check_run(self)
        dropout, freeze, augmentation = (
            self.model.dropout,
            self.model.freeze,
            self.data.augmentation,
        )
        require(
            "model.dropout",
            dropout,
            dropout == 0,
            "left out: it stands before the classifying layer, which a student has not",
        )
        require(
            "model.freeze", freeze, not freeze, "left out: the whole student learns to see clips"
        )
        mixed = {name: getattr(augmentation, name) for name in ("mixup", "cutmix")}
        require(
            "data.augmentation",
            mixed,
            not augmentation.mixes,
            "without mixup and cutmix: a mixed clip belongs to no frames of one video",
        )
        require(
            "data.augmentation.no_flip_classes",
            augmentation.no_flip_classes,
            not augmentation.no_flip_classes,
            "left out: labels are not read; `data.augmentation.flip` holds for all clips",
        )
        inflate = self.inflate
        require("inflate", inflate, inflate != "", "teacher, a path, or null")
        kind, batch, accumulation = (
            self.objective.kind,
            self.data.batch_size,
            self.optimizer.accumulation,
        )
        compared = self.objective.negatives + 1 if kind == "matching" else 2
        least = compared * accumulation * augmentation.repeats
        require(
            "data.batch_size",
            batch,
            kind == "regression" or batch >= least,
            f"at least {least} for {kind}, which compares clips of {compared} videos or more in "
            f"each of the batch's {accumulation} parts (optimizer.accumulation), "
            f"{augmentation.repeats} of each video (data.augmentation.repeats)",
        )

    def to_yaml(self) -> str:
        """Returns the config as YAML that `--config` reads again."""
        return to_yaml(self)

"""Configuration of a run: the keys of a recipe, with their types, defaults and rules."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import yaml

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.options import ClipSelection
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training.optimizer_config import OptimizerConfig
from keras_t3d.training.selection import SelectionConfig
from keras_t3d.training.validation import check_values

# Fields of a configuration whose key in YAML and in flags differs from their name.
YAML_KEYS = {"clip_spec": "clip"}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network.

    Args:
        name: one of `keras_t3d.models.list_models()`.
        dropout: dropout rate before the classifying layer.
        dtype: dtype policy: float32, mixed_bfloat16 or mixed_float16.
        synchronized_bn: whether batch norm computes its statistics over all devices.
        rematerialize: recompute cheap activations for the gradient, which saves memory.
        freeze: stages that are not trained, for example [stem, block1].
        weights: published weights to start from, such as kinetics400 or imagenet, see
            `keras_t3d.models.list_weights`; null, random ones or those of init. The clip then has
            their mean and std, unless it sets its own.
        freeze_batch_norms: whether all batch norms keep the averages, scales and offsets that they
            start with, for a network that starts from published weights and few videos.
        options: further arguments of the network, for example {variant: paper}.
    """

    name: str = "t3d_121"
    dropout: float = 0.0
    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    synchronized_bn: bool = False
    rematerialize: bool = False
    freeze: tuple[str, ...] = ()
    freeze_batch_norms: bool = False
    weights: str | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataConfig(ClipSelection):
    """Training and validation clips.

    Args:
        shards: folder that `keras-t3d convert` wrote.
        train_split: split to train on.
        validation_split: split to evaluate after each epoch; `train` selects best.keras by it,
            see `best`.
            null skips validation and keeps the last epoch's model.
        batch_size: clips per batch, over all devices.
        augmentation: random changes to training clips.
    """

    shards: str = "shards"
    train_split: Literal["train", "val", "test"] = "train"
    validation_split: Literal["train", "val", "test"] | None = "val"
    batch_size: int = 32
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except InvalidArgumentError as error:
            key = f"data.{error.argument}"
            message = str(error).replace(f"`{error.argument}`", f"`{key}`")
            raise InvalidArgumentError(message, argument=key) from None
        check_values(
            self, "data", ("batch_size", self.batch_size >= 1, "at least 1, for example 32")
        )


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The cross-entropy loss.

    Args:
        label_smoothing: share of each label that is spread over all classes.
        class_weights: none; balanced, inversely proportional to a class's number of videos,
            with mean 1 over videos; or weights by class name, 1 for classes left out.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"

    def __post_init__(self) -> None:
        weights = {} if isinstance(self.class_weights, str) else self.class_weights
        check_values(
            self,
            "loss",
            ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1), for example 0.1"),
            (
                "class_weights",
                all(weight >= 0 for weight in weights.values()),
                "at least 0 for each class, for example {fall: 5.0}",
            ),
        )


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """The checkpoints that training resumes from.

    Args:
        every_steps: steps between checkpoints; one is written after each epoch, too.
        keep: number of checkpoints to keep; older ones are deleted.
    """

    every_steps: int = 1000
    keep: int = 3

    def __post_init__(self) -> None:
        check_values(
            self,
            "checkpoints",
            ("every_steps", self.every_steps >= 1, "at least 1, for example 1000"),
            ("keep", self.keep >= 1, "at least 1, for example 3"),
        )


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Configuration that training and pretraining share.

    Args:
        model: the network.
        clip_spec: the clip.
        data: training and validation clips.
        optimizer: the optimizer and its learning rate.
        checkpoints: the checkpoints that training resumes from.
        epochs: passes over the training split.
        min_steps: training steps at least: small splits are passed over more often.
        precise_bn_batches: training batches on which batch norm statistics are recomputed
            before each evaluation; 0 keeps the moving averages.
        deterministic: whether TensorFlow's operations are deterministic; slower on GPUs.
        seed: seed of weights, order, clips, crops and flips.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    clip_spec: ClipSpec = dataclasses.field(default_factory=ClipSpec)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    checkpoints: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    epochs: int = 100
    min_steps: int = 0
    precise_bn_batches: int = 0
    deterministic: bool = False
    seed: int = 0

    command: ClassVar[str]

    def __post_init__(self) -> None:
        # The model keeps it, so that evaluation and prediction read the same rate.
        object.__setattr__(self, "clip_spec", self.data.at_target_fps(self.clip_spec))
        epochs, has_validation = self.epochs, self.data.validation_split is not None
        check_values(
            self,
            "",
            ("epochs", epochs >= 1, "at least 1, for example 100"),
            ("min_steps", self.min_steps >= 0, "at least 0, for example 200"),
            ("seed", 0 <= self.seed < 2**32, "in 0..4294967295, for example 0"),
            ("precise_bn_batches", self.precise_bn_batches >= 0, "at least 0, for example 200"),
            (
                "optimizer.warmup_epochs",
                0 <= self.optimizer.warmup_epochs < epochs,
                f"at least 0 and below `epochs`, {epochs}, for example 0",
            ),
            (
                "data.validation_split",
                self.optimizer.schedule != "plateau" or has_validation,
                "set for the plateau schedule, for example to val",
            ),
        )

    def to_yaml(self) -> str:
        """Returns the configuration as YAML that `--config` reads back."""
        values = {YAML_KEYS.get(key, key): value for key, value in dataclasses.asdict(self).items()}
        return yaml.safe_dump(_lists_for_tuples(values), sort_keys=False)


@dataclasses.dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Configuration of `train`.

    Args:
        loss: the cross-entropy loss.
        best: which epoch's model is best.keras, and when training stops.
        probe: whether the classifying layer starts as a logistic regression of the features that
            the network starts with. This network is probe.keras, and its accuracy is printed
            beside the trained one's.
        stored_views: random views of each training video whose outputs of the frozen stages are
            computed once and stored in the run directory, until the run ends; epochs take turns
            with them. 0 computes them anew at every step.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    TrainConfig(model=ModelConfig("t3d_tiny"), data=DataConfig(shards="shards"), epochs=20)
    ```
    """

    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    best: SelectionConfig = dataclasses.field(default_factory=SelectionConfig)
    probe: bool = False
    stored_views: int = 0

    command: ClassVar[str] = "train"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_values(
            self, "", ("stored_views", self.stored_views >= 0, "at least 0, for example 4")
        )


def _lists_for_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists_for_tuples(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists_for_tuples(item) for item in value]
    return value

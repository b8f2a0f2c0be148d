"""Configuration of a run: the keys of a recipe, with their types, defaults and rules."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from typing import Any, ClassVar, Literal

import yaml

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.options import ClipSelection
from keras_t3d.errors import InvalidArgumentError

# Fields of a configuration whose key in YAML and in flags differs from their name.
YAML_KEYS = {"clip_spec": "clip"}


def check_values(options: Any, section: str, *rules: tuple[str, bool, str]) -> None:
    """Checks the values of a configuration or of one of its sections.

    Args:
        options: a dataclass.
        section: key of the section; empty for a whole configuration.
        *rules: name of the option, whether its value is valid, and the rule, with an example.

    Raises:
        InvalidArgumentError: for the first value that is not valid.
    """
    for name, is_valid, rule in rules:
        if not is_valid:
            key = f"{section}.{name}" if section else name
            value = operator.attrgetter(name)(options)
            raise InvalidArgumentError(f"`{key}` must be {rule}. Received: {value!r}", argument=key)


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
        options: further arguments of the network, for example {variant: paper}.
    """

    name: str = "t3d_121"
    dropout: float = 0.0
    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    synchronized_bn: bool = False
    rematerialize: bool = False
    freeze: tuple[str, ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataConfig(ClipSelection):
    """Training and validation clips.

    Args:
        shards: folder that `keras-t3d convert` wrote.
        train_split: split to train on.
        validation_split: split to evaluate after each epoch; `train` selects best.keras by it.
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
class OptimizerConfig:
    """The optimizer and its learning rate.

    Args:
        name: a class of `keras.optimizers`, in any case: sgd, adamw, lion, ...
        learning_rate: the highest learning rate.
        base_batch_size: batch size that `learning_rate` is for; it is scaled linearly to
            `data.batch_size`. null does not scale.
        momentum: momentum of sgd.
        nesterov: whether sgd uses Nesterov momentum.
        l2: L2 penalty as in the papers and in PyTorch's SGD: added to the gradient.
        weight_decay: decoupled weight decay, as in AdamW.
        decay_all: whether biases and batch norm parameters are decayed, too.
        options: further arguments of the optimizer, for example {beta_2: 0.98}.
        schedule: cosine (to zero), step (multiplies by `factor` at each of `step_epochs`),
            plateau (multiplies by `factor` after `patience` epochs without a lower validation
            loss), or constant.
        warmup_epochs: epochs of linear warm-up.
        step_epochs: epochs after which the step schedule lowers the rate.
        factor: factor of the step and plateau schedules.
        patience: epochs without a lower validation loss before plateau lowers the rate.
        global_clipnorm: maximum norm of all gradients together; null does not clip.
        clipnorm: maximum norm of each weight's gradient.
        clipvalue: maximum absolute value of a gradient.
        accumulation: gradient accumulation steps per batch, which saves memory.
        ema: momentum of an exponential moving average of the weights, which is evaluated and
            saved in their place, for example 0.999; null disables it.
        stage_rates: factors of the learning rate by stage of the network, for example
            {stem: 0.1, head: 10}.
    """

    name: str = "sgd"
    learning_rate: float = 0.1
    base_batch_size: int | None = None
    momentum: float = 0.9
    nesterov: bool = True
    l2: float = 0.0
    weight_decay: float = 0.0
    decay_all: bool = True
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: Literal["cosine", "step", "plateau", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    step_epochs: tuple[int, ...] = ()
    factor: float = 0.1
    patience: int = 10
    global_clipnorm: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    accumulation: int = 1
    ema: float | None = None
    stage_rates: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        base, ema, epochs, factors = (
            self.base_batch_size,
            self.ema,
            self.step_epochs,
            self.stage_rates.values(),
        )
        is_step, rising = self.schedule == "step", "rising numbers from 1, for example [30, 60]"
        check_values(
            self,
            "optimizer",
            ("l2", self.l2 >= 0, "at least 0, for example 1e-4"),
            ("weight_decay", self.weight_decay >= 0, "at least 0, for example 0.05"),
            ("patience", self.patience >= 1, "at least 1, for example 10"),
            ("accumulation", self.accumulation >= 1, "at least 1, for example 4"),
            ("learning_rate", self.learning_rate > 0, "above 0, for example 0.1"),
            ("base_batch_size", base is None or base >= 1, "at least 1, for example 64, or null"),
            ("ema", ema is None or 0 < ema < 1, "between 0 and 1, for example 0.999, or null"),
            ("factor", 0 < self.factor < 1, "between 0 and 1, for example 0.1"),
            ("step_epochs", all(a < b for a, b in itertools.pairwise((0, *epochs))), rising),
            ("step_epochs", not is_step or len(epochs) > 0, f"{rising}, for the step schedule"),
            (
                "step_epochs",
                not is_step or not epochs or epochs[0] > self.warmup_epochs,
                f"above the {self.warmup_epochs:g} warm-up epochs",
            ),
            (
                "warmup_epochs",
                self.schedule != "plateau" or self.warmup_epochs == 0,
                "0 for the plateau schedule",
            ),
            (
                "stage_rates",
                all(factor > 0 for factor in factors),
                "above 0 for each stage; use `model.freeze` to freeze a stage",
            ),
        )
        names = ("global_clipnorm", "clipnorm", "clipvalue")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        rule = f"above 0, for example 1.0, and the only one of {', '.join(names)}"
        for name, value in given.items():
            check_values(self, "optimizer", (name, value > 0 and len(given) == 1, rule))


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
    precise_bn_batches: int = 0
    deterministic: bool = False
    seed: int = 0

    command: ClassVar[str]

    def __post_init__(self) -> None:
        epochs, has_validation = self.epochs, self.data.validation_split is not None
        check_values(
            self,
            "",
            ("epochs", epochs >= 1, "at least 1, for example 100"),
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

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    TrainConfig(model=ModelConfig("t3d_tiny"), data=DataConfig(shards="shards"), epochs=20)
    ```
    """

    loss: LossConfig = dataclasses.field(default_factory=LossConfig)

    command: ClassVar[str] = "train"


def _lists_for_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists_for_tuples(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists_for_tuples(item) for item in value]
    return value

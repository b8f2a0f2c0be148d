"""The typed configuration of a training run: what a recipe for `keras-t3d train` may say."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar, Literal, Protocol

import yaml

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.options import ClipSelection


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Args:
        name: one of `keras_t3d.models.list_models()`.
        dropout: rate before the classifying layer.
        dtype: dtype policy: float32, mixed_bfloat16 or mixed_float16.
        synchronized_bn: whether batch norm takes its statistics over all devices.
        rematerialize: compute cheap parts a second time for the gradient, which saves memory.
        freeze: stages whose weights stay as they are, such as [stem, block1].
        options: further arguments of that network, such as `variant`.
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
    """Shards, splits and batches, and how training clips are selected.

    Args:
        shards: folder that `keras-t3d convert` wrote.
        train_split: split to train on.
        validation_split: split that is measured after each epoch, and by which `train` picks the
            best; null measures nothing, and keeps the last.
        batch_size: clips in a batch, over all devices.
        augmentation: how training clips are cut out.
    """

    shards: str = "shards"
    train_split: Literal["train", "val", "test"] = "train"
    validation_split: Literal["train", "val", "test"] | None = "val"
    batch_size: int = 32
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.batch_size
        require("data.batch_size", size, size >= 1, "at least 1, for example 32")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How weights move.

    Args:
        name: a class of `keras.optimizers`, in any case: sgd, adamw, lion, ...
        learning_rate: the highest learning rate.
        base_batch_size: batch size that `learning_rate` is meant for; with another
            data.batch_size it is scaled in proportion. null takes it as it is.
        momentum: momentum of sgd.
        nesterov: whether sgd's momentum is Nesterov's.
        l2: weight decay as in the papers and PyTorch's sgd: added to the gradient.
        weight_decay: decoupled weight decay, as in AdamW.
        decay_all: whether biases and batch norm decay, too; false leaves them out.
        options: further arguments of that optimizer, such as {beta_2: 0.98}.
        schedule: cosine (to zero), step (times `factor` at each of `step_epochs`), plateau
            (times `factor` when the validation loss stalls for `patience` epochs), constant.
        warmup_epochs: epochs over which the rate first rises.
        step_epochs: epochs after which the step schedule lowers the rate.
        factor: what step and plateau multiply the rate by.
        patience: epochs without a lower validation loss that plateau waits.
        global_clipnorm: longest gradient of all weights together; null does not clip.
        clipnorm: longest gradient of one weight.
        clipvalue: largest entry of a gradient.
        accumulation: parts of a batch that pass one after another, to save memory.
        ema: momentum of an average of the weights that is evaluated and saved in their
            place, such as 0.999; null has none.
        stage_rates: factors to the learning rate by stage of the network, such as
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
        for name, lowest, example in (
            ("l2", 0, "1e-4"),
            ("weight_decay", 0, "0.05"),
            ("patience", 1, "10"),
            ("accumulation", 1, "4"),
        ):
            value = getattr(self, name)
            rule = f"at least {lowest}, for example {example}"
            require(f"optimizer.{name}", value, value >= lowest, rule)
        rate, base, ema, epochs = (
            self.learning_rate,
            self.base_batch_size,
            self.ema,
            self.step_epochs,
        )
        require("optimizer.learning_rate", rate, rate > 0, "above 0, for example 0.1")
        require(
            "optimizer.base_batch_size",
            base,
            base is None or base >= 1,
            "at least 1, for example 64, or null",
        )
        require(
            "optimizer.ema",
            ema,
            ema is None or 0 < ema < 1,
            "between 0 and 1, for example 0.999, or null",
        )
        require(
            "optimizer.factor", self.factor, 0 < self.factor < 1, "between 0 and 1, for example 0.1"
        )
        require(
            "optimizer.step_epochs",
            epochs,
            all(a < b for a, b in itertools.pairwise((0, *epochs))),
            "rising numbers from 1, for example [30, 60]",
        )
        require(
            "optimizer.step_epochs",
            epochs,
            self.schedule != "step" or len(epochs) > 0,
            "given for the step schedule, for example [30, 60]",
        )
        require(
            "optimizer.step_epochs",
            epochs,
            self.schedule != "step" or epochs[0] > self.warmup_epochs,
            f"after the {self.warmup_epochs:g} epochs of warm-up",
        )
        require(
            "optimizer.warmup_epochs",
            self.warmup_epochs,
            self.schedule != "plateau" or self.warmup_epochs == 0,
            "0 for the plateau schedule, which follows the validation loss alone",
        )
        require(
            "optimizer.stage_rates",
            self.stage_rates,
            all(factor > 0 for factor in self.stage_rates.values()),
            "above 0 for each stage; model.freeze keeps stages as they are",
        )
        clips = {n: getattr(self, n) for n in ("global_clipnorm", "clipnorm", "clipvalue")}
        given = {name: value for name, value in clips.items() if value is not None}
        for name, value in given.items():
            rule = "above 0, for example 1.0, and the only one of " + ", ".join(clips)
            require(f"optimizer.{name}", value, value > 0 and len(given) == 1, rule)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """What is minimised: cross-entropy.

    Args:
        label_smoothing: share of each label that is spread over all classes.
        class_weights: none, balanced (a class counts by one over its videos, 1 in the mean
            over videos), or weights by class name; the classes left out have weight 1.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"

    def __post_init__(self) -> None:
        smoothing, weights = self.label_smoothing, self.class_weights
        require(
            "loss.label_smoothing",
            smoothing,
            0 <= smoothing < 1,
            "from 0 and below 1, for example 0.1",
        )
        if not isinstance(weights, str):
            rule = "at least 0 for each class"
            require(
                "loss.class_weights", weights, all(weight >= 0 for weight in weights.values()), rule
            )


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """From where a run goes on.

    Args:
        every_steps: steps between checkpoints; each epoch ends with one, too.
        keep: newest checkpoints that are kept.
    """

    every_steps: int = 1000
    keep: int = 3

    def __post_init__(self) -> None:
        steps, keep = self.every_steps, self.keep
        require("checkpoints.every_steps", steps, steps >= 1, "at least 1, for example 1000")
        require("checkpoints.keep", keep, keep >= 1, "at least 1, for example 3")


class RunConfig(Protocol):
    """What the configuration of every run says, whatever is learned: see TrainConfig."""

    @property
    def model(self) -> ModelConfig: ...
    @property
    def clip(self) -> ClipSpec: ...
    @property
    def data(self) -> DataConfig: ...
    @property
    def optimizer(self) -> OptimizerConfig: ...
    @property
    def checkpoints(self) -> CheckpointConfig: ...
    @property
    def epochs(self) -> int: ...
    @property
    def precise_bn_batches(self) -> int: ...
    @property
    def deterministic(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    def to_yaml(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Args:
        model: which network.
        clip: what a clip is.
        data: which clips.
        optimizer: how weights move.
        loss: what is minimised.
        checkpoints: from where a run goes on.
        epochs: passes over the training split.
        precise_bn_batches: training batches by which batch norm's statistics are measured
            afresh before each evaluation; 0 leaves the moving averages.
        deterministic: whether TensorFlow gives the same bits in each run; slower on GPUs.
        seed: seed of weights, order, clips, windows and flips.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    clip: ClipSpec = dataclasses.field(default_factory=ClipSpec)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    checkpoints: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    epochs: int = 100
    precise_bn_batches: int = 0
    deterministic: bool = False
    seed: int = 0

    command: ClassVar[str] = "train"

    def __post_init__(self) -> None:
        check_run(self)

    def to_yaml(self) -> str:
        """Returns the config as YAML that `--config` reads again."""
        return to_yaml(self)


def check_run(config: RunConfig) -> None:
    """Refuses values that do not fit each other, in any run."""
    schedule, warmup = config.optimizer.schedule, config.optimizer.warmup_epochs
    require("epochs", config.epochs, config.epochs >= 1, "at least 1, for example 100")
    require("seed", config.seed, 0 <= config.seed < 2**32, "from 0 to 4294967295, for example 0")
    require(
        "precise_bn_batches",
        config.precise_bn_batches,
        config.precise_bn_batches >= 0,
        "at least 0, for example 200",
    )
    require(
        "optimizer.warmup_epochs",
        warmup,
        0 <= warmup < config.epochs,
        f"from 0 and below the {config.epochs} epochs, as in --optimizer.warmup_epochs 0",
    )
    require(
        "data.validation_split",
        config.data.validation_split,
        schedule != "plateau" or config.data.validation_split is not None,
        "given for the plateau schedule, for example val",
    )


def to_yaml(config: Any) -> str:
    """Returns a configuration, a dataclass, as YAML that `--config` reads again."""
    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def require(key: str, value: Any, valid: bool, rule: str) -> None:
    """Refuses the value of a key that is not valid, with the rule."""
    if not valid:
        raise ValueError(f"Config: `{key}` must be {rule}. Received: {value!r}")

"""Configuration of the optimizer: the keys of `optimizer:` in a recipe."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Literal

from keras_t3d.training.validation import check_values


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
        base, ema = self.base_batch_size, self.ema
        epochs, warmup = self.step_epochs, self.warmup_epochs
        rises = all(a < b for a, b in itertools.pairwise((0, *epochs)))
        is_step, rising = self.schedule == "step", "rising numbers from 1, for example [30, 60]"
        no_warmup = self.schedule != "plateau" or warmup == 0
        are_positive = all(factor > 0 for factor in self.stage_rates.values())
        positive = "above 0 for each stage; use `model.freeze` to freeze a stage"
        after = not is_step or not epochs or epochs[0] > warmup
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
            ("step_epochs", rises, rising),
            ("step_epochs", not is_step or len(epochs) > 0, f"{rising}, for the step schedule"),
            ("step_epochs", after, f"above the {warmup:g} warm-up epochs"),
            ("warmup_epochs", no_warmup, "0 for the plateau schedule"),
            ("stage_rates", are_positive, positive),
        )
        names = ("global_clipnorm", "clipnorm", "clipvalue")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        rule = f"above 0, for example 1.0, and the only one of {', '.join(names)}"
        for name, value in given.items():
            check_values(self, "optimizer", (name, value > 0 and len(given) == 1, rule))

"""The base of layers made of layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.configuration import ConfiguredLayer
from keras_t3d.layers.operations.known_sizes import with_built_sizes
from keras_t3d.layers.rematerialization import run
from keras_t3d.layers.trainable_flags import set_trainable_flags, trainable_flags


class CompositeLayer(ConfiguredLayer):
    """A layer made of layers, described part by part.

    A subclass describes its computation in `compose` and has no `call` of its own: this class
    runs the parts as Keras layers, `keras_t3d.deploy` runs the same parts with other operations.

    The configuration holds which layers inside are frozen. A subclass that makes layers in `build`
    ends it with `self.restore_trainable_flags()`.

    Args:
        causal: whether the layers inside read no later frame, see `ClipConv3D`; a subclass passes
            `self.causal` to those that have the argument.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        What `compose` returns.

    Example:

    ```python
    class NormalizedConv3D(CompositeLayer):
        def __init__(self, filters, **kwargs):
            super().__init__(**kwargs)
            self.conv = ClipConv3D(filters, 3, name="conv", **self.inherited)
            self.bn = ClipBatchNormalization("relu", name="bn", **self.inherited)

        def build(self, input_shape):
            self.conv.build(input_shape)
            self.bn.build(self.conv.compute_output_shape(input_shape))
            self.built = True

        def compose(self, run, clips):
            return run(InTurn([self.conv, self.bn]), [self.conv, self.bn], [clips])
    ```
    """

    def __init__(self, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.causal = causal
        self._unset_flags: dict[str, bool] = {}

    @property
    def inherited(self) -> dict[str, Any]:
        """Options that layers inside take over: dtype policy and trainable flag."""
        return {"dtype": self.dtype_policy, "trainable": self.trainable}

    def call(self, clips: Any, training: bool | None = None) -> Any:
        return self.compose(
            partial(run, training=training, rematerialized=self.rematerialized),
            with_built_sizes(self, clips),
        )

    def _norm(self, name: str, activation: str | None = "relu") -> ClipBatchNormalization:
        return ClipBatchNormalization(activation, name=name, **self.inherited)

    def restore_trainable_flags(self) -> None:
        """Sets the flags of a configuration for the layers that `build` made."""
        self._unset_flags = set_trainable_flags(self, self._unset_flags)

    def build_from_config(self, config: dict[str, Any]) -> None:
        super().build_from_config(config)
        self.restore_trainable_flags()

    @property
    def rematerialized(self) -> bool:
        """Whether the parts are recomputed for the gradient."""
        return False

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        """Computes the output, part by part.

        Args:
            run: `run(part, layers, inputs)` computes a part, as `rematerialization.run` does.
            clips: tensor of shape `(batch, time, height, width, channels)`; in `deploy` it may
                lack the batch axis.

        Returns:
            The output.
        """
        raise NotImplementedError(
            "A CompositeLayer must define `compose(run, clips)`, for example "
            "`return run(InTurn(layers), layers, [clips])`. "
            f"Received: the class {type(self).__name__} without it"
        )

    def get_config(self) -> dict[str, Any]:
        flags = {**trainable_flags(self), **self._unset_flags}
        return {**super().get_config(), **({"inner_trainable": flags} if flags else {})}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CompositeLayer:
        flags = config.get("inner_trainable", {})
        layer = super().from_config(
            {name: value for name, value in config.items() if name != "inner_trainable"}
        )
        layer._unset_flags = set_trainable_flags(layer, flags)
        return layer

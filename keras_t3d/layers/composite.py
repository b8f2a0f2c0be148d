"""The base of layers made of layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.configuration import ConfiguredLayer
from keras_t3d.layers.rematerialization import run


class CompositeLayer(ConfiguredLayer):
    """A layer made of layers, described part by part.

    A subclass describes its computation in `compose` and has no `call` of its own: this class
    runs the parts as Keras layers, `keras_t3d.deploy` runs the same parts with other operations.

    Args:
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
            self.conv = ClipConv3D(filters, 3, name="conv")
            self.bn = ClipBatchNormalization("relu", name="bn")

        def build(self, input_shape):
            self.conv.build(input_shape)
            self.bn.build(self.conv.compute_output_shape(input_shape))
            self.built = True

        def compose(self, run, clips):
            return run(InTurn([self.conv, self.bn]), [self.conv, self.bn], [clips])
    ```
    """

    def call(self, clips: Any, training: bool | None = None) -> Any:
        return self.compose(
            partial(run, training=training, rematerialized=self.rematerialized), clips
        )

    def _norm(self, name: str, activation: str | None = "relu") -> ClipBatchNormalization:
        """Makes a batch normalization with this layer's dtype policy."""
        return ClipBatchNormalization(activation, dtype=self.dtype_policy, name=name)

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

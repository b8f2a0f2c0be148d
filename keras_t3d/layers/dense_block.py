"""The dense block of a 3D DenseNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_t3d.layers.arguments import whole_number
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.operations.rematerialization import skips_unused_work
from keras_t3d.layers.rematerialization import InTurn


@keras.saving.register_keras_serializable(package="keras_t3d")
class DenseBlock3D(CompositeLayer):
    """Layers of which each reads the channels of all before it, and adds some of its own.

    ```
    clip --+-------------------------------------------------------------+- concat ->
           |                                                             |
           +- BN - ReLU - Conv 1x1x1 - BN - ReLU - Conv 3x3x3 -- k ch. --+
           |                                                   (next layer reads both)
    ```

    Args:
        num_layers: dense layers.
        growth_rate: channels that a dense layer adds.
        bottleneck_factor: the 1x1x1 convolution has this many times
            `growth_rate` filters.
        rematerialize: keep for the gradient only what each dense layer adds, and
            compute the 1x1x1 convolution again too.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time, height, width, channels + num_layers * growth_rate)`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    DenseBlock3D(num_layers=6, growth_rate=32)(features).shape  # (2, 8, 28, 28, 256)
    ```

    Reference:
        Huang et al., "Densely Connected Convolutional Networks", 2017,
        https://arxiv.org/abs/1608.06993
    """

    def __init__(
        self,
        num_layers: int,
        growth_rate: int = 32,
        bottleneck_factor: int = 4,
        rematerialize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_layers = whole_number("DenseBlock3D", "num_layers", num_layers)
        self.growth_rate = whole_number("DenseBlock3D", "growth_rate", growth_rate)
        self.bottleneck_factor = whole_number(
            "DenseBlock3D", "bottleneck_factor", bottleneck_factor
        )
        self.rematerialize = rematerialize
        # Four flat lists, as Keras saves no lists of lists.
        names = [f"layer{index + 1}" for index in range(self.num_layers)]
        bottleneck = self.bottleneck_factor * self.growth_rate
        self.norms1 = [self._norm(f"{name}_bn1") for name in names]
        self.convs1 = [self._conv(bottleneck, 1, f"{name}_conv1") for name in names]
        self.norms2 = [self._norm(f"{name}_bn2") for name in names]
        self.convs2 = [self._conv(self.growth_rate, 3, f"{name}_conv2") for name in names]

    def _conv(self, filters: int, kernel_size: int, name: str) -> ClipConv3D:
        return ClipConv3D(filters, kernel_size, causal=self.causal, name=name, **self.inherited)

    @property
    def dense_layers(self) -> list[tuple[Any, ...]]:
        """The layers that each dense layer applies in turn."""
        return list(zip(self.norms1, self.convs1, self.norms2, self.convs2, strict=True))

    def build(self, input_shape: Sequence[Any]) -> None:
        *sides, channels = input_shape
        for dense_layer in self.dense_layers:
            shape = (*sides, channels)
            for layer in dense_layer:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            channels += self.growth_rate
        self.built = True

    @property
    def rematerialized(self) -> bool:
        # Normalizations always, which is cheap, or every layer would keep a copy of all features
        # before it; with `rematerialize` the 1x1x1 convolutions too.
        return self.rematerialize or skips_unused_work()

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        features = [clips]
        for dense_layer in self.dense_layers:
            parts = [dense_layer] if self.rematerialize else [dense_layer[:2], dense_layer[2:]]
            inputs = features
            for part in parts:
                inputs = [run(InTurn(part), part, inputs)]
            features.extend(inputs)
        return run(InTurn([]), (), features)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        *sides, channels = input_shape
        return (*sides, channels + self.num_layers * self.growth_rate)  # type: ignore[operator]

"""The Temporal Transition Layer (TTL) of T3D, by depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.normalized_convolution import NormalizedConv3D
from keras_t3d.layers.rematerialization import InTurn
from keras_t3d.layers.temporal_transition import checked_depths


@keras.saving.register_keras_serializable(package="keras_t3d")
class DepthwiseTemporalTransition(CompositeLayer):
    """Mixes several temporal kernel depths in parallel, at little cost.

    ```
          +------------------------------------------ (depth 1) ----------------------+
          |                                                                           |
    clip -+- depthwise Conv d2x1x1 - BN - ReLU6 -+                                    |
          |                                      +- concat - Conv 1x1x1 - BN - add ---+->
          +- depthwise Conv d3x1x1 - BN - ReLU6 -+  (channels)
    ```

    It is a Temporal Transition Layer whose branches convolve each channel by itself and whose
    branch of depth 1 is the clip. The 1x1x1 convolution starts from zeros, so that a fresh layer
    changes nothing: it can be put into a trained network, with its batch norms frozen or not.

    Args:
        depths: temporal kernel depth of each branch, 1 among them.
        mixing_initializer: initializer of the 1x1x1 convolution.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of the same shape.

    Raises:
        InvalidArgumentError: if the depths are not different integers, 1 and others.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 24).astype("float32")
    DepthwiseTemporalTransition(depths=(1, 3, 6))(features).shape  # (2, 8, 28, 28, 24)
    ```

    Reference:
        Diba et al., "Temporal 3D ConvNets: New Architecture and Transfer
        Learning for Video Classification", 2017, https://arxiv.org/abs/1711.08200
    """

    def __init__(
        self, depths: Sequence[int] = (1, 3, 4), mixing_initializer: Any = "zeros", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mixing_initializer = keras.initializers.get(mixing_initializer)
        self.depths = checked_depths("DepthwiseTemporalTransition", depths)
        if 1 not in self.depths or len(self.depths) == 1:
            raise InvalidArgumentError(
                "DepthwiseTemporalTransition: `depths` must have 1, for the clip itself, and "
                f"others, for example depths=(1, 3, 4). Received: {depths!r}",
                argument="depths",
            )

    def build(self, input_shape: Sequence[Any]) -> None:
        channels = input_shape[-1]
        self.branches = [
            NormalizedConv3D(
                channels,
                (depth, 1, 1),
                groups=channels,
                causal=self.causal,
                name=f"depth{depth}",
                **self.inherited,
            )
            for depth in self.depths
            if depth > 1
        ]
        self.mixing = NormalizedConv3D(
            channels,
            1,
            activation=None,
            kernel_initializer=self.mixing_initializer,
            name="mixing",
            **self.inherited,
        )
        for branch in self.branches:
            branch.build(input_shape)
        self.mixing.build((*input_shape[:-1], channels * len(self.branches)))
        self.restore_trainable_flags()  # of the layers that were made here
        self.built = True

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        # The deepest first: in a stream, the others share the frames that it keeps.
        order = sorted(self.branches, key=lambda branch: -branch.kernel_size[0])
        mixed = {branch.name: run(InTurn([branch]), (), [clips]) for branch in order}
        in_order = [mixed[branch.name] for branch in self.branches]
        return clips + run(InTurn([self.mixing]), (), in_order)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)

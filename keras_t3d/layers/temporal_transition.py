"""The Temporal Transition Layer (TTL) of T3D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, three_sizes, whole_number
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.operations.rematerialization import skips_unused_work
from keras_t3d.layers.precision import pooling_dtype
from keras_t3d.layers.rematerialization import InTurn

VARIANTS = ("paper", "authors_code")


@keras.saving.register_keras_serializable(package="keras_t3d")
class TemporalTransition(CompositeLayer):
    """Mixes several temporal kernel depths in parallel, then halves the clip.

    ```
             +- BN - ReLU - Conv 1x1x1  -+
             |                           |
    clip ----+- BN - ReLU - Conv d2x3x3 -+- concat - average pool 2x2x2
             |                           |  (channels)
             +- BN - ReLU - Conv d3x3x3 -+
    ```

    Every branch reads the layer's own input and keeps its time and size; the
    outputs meet on the channel axis. A branch of depth 1 is a 1x1x1
    convolution, one of depth d > 1 a (d, 3, 3) convolution.

    Args:
        filters: filters of each branch.
        depths: temporal kernel depth of each branch: the default is the paper's first transition,
            the later ones have (1, 3, 4).
        variant: `"paper"`, or `"authors_code"`, which puts a
            BN - ReLU - Conv 1x1x1 over the concatenated channels before the
            pool, as the authors' published code does.
        pool_size: size and stride
            of the average pool; None leaves it out.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time // 2, height // 2, width // 2,
        filters * len(depths))`.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or the input is too short
            or too small to be pooled.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    TemporalTransition(filters=32, depths=(1, 3, 6))(features).shape  # (2, 4, 14, 14, 96)
    ```

    Reference:
        Diba et al., "Temporal 3D ConvNets: New Architecture and Transfer
        Learning for Video Classification", 2017, https://arxiv.org/abs/1711.08200
    """

    def __init__(
        self,
        filters: int = 128,
        depths: Sequence[int] = (1, 3, 6),
        variant: str = "paper",
        pool_size: int | Sequence[int] | None = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = whole_number("TemporalTransition", "filters", filters)
        self.depths = checked_depths("TemporalTransition", depths)
        self.variant = one_of("TemporalTransition", "variant", variant, VARIANTS)
        self.pool_size = (
            None if pool_size is None else three_sizes("TemporalTransition", "pool_size", pool_size)
        )

        self.branch_norms = [self._norm(f"depth{depth}_bn") for depth in self.depths]
        self.branch_convs = [
            self._conv(filters, depth, f"depth{depth}_conv") for depth in self.depths
        ]
        if variant == "authors_code":
            self.mixing_norm = self._norm("mixing_bn")
            self.mixing_conv = self._conv(filters * len(self.depths), 1, "mixing_conv")
        if self.pool_size is not None:
            self.pool = keras.layers.AveragePooling3D(
                self.pool_size,
                self.pool_size,
                data_format="channels_last",
                name="pool",
                **{**self.inherited, "dtype": pooling_dtype(self.dtype_policy)},
            )

    def _conv(self, filters: int, depth: int, name: str) -> ClipConv3D:
        kernel = 1 if depth == 1 else (depth, 3, 3)
        return ClipConv3D(filters, kernel, causal=self.causal, name=name, **self.inherited)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.compute_output_shape(input_shape)  # checks the shape
        for norm, conv in zip(self.branch_norms, self.branch_convs, strict=True):
            norm.build(input_shape)
            conv.build(input_shape)
        if self.variant == "authors_code":
            concatenated = (*input_shape[:-1], self.filters * len(self.depths))
            self.mixing_norm.build(concatenated)
            self.mixing_conv.build(concatenated)
        self.built = True

    @property
    def rematerialized(self) -> bool:
        # Always, as it is cheap: every branch would keep the same input, normalized anew.
        return skips_unused_work()

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        branches = zip(self.branch_norms, self.branch_convs, strict=True)
        mixed = [run(InTurn(branch), branch, [clips]) for branch in branches]
        if self.variant == "authors_code":
            mixing = (self.mixing_norm, self.mixing_conv)
            mixed = [run(InTurn(mixing), mixing, mixed)]
        joined = run(InTurn([]), (), mixed)
        if self.pool_size is None:
            return joined
        return ops.cast(run(InTurn([self.pool]), (), [joined]), joined.dtype)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        if len(input_shape) != 5:
            raise InvalidArgumentError(
                "TemporalTransition reads tensors of shape (batch, time, height, width, channels). "
                f"Received: {tuple(input_shape)}",
                argument="clips",
            )
        batch, *sides, _ = input_shape
        pool = self.pool_size or (1, 1, 1)
        pooled = [None if s is None else s // p for s, p in zip(sides, pool, strict=True)]
        if 0 in pooled:
            raise InvalidArgumentError(
                f"TemporalTransition: an average pool of {pool} (time, height, width) leaves "
                f"nothing of an input of {tuple(sides)}. Use longer or larger clips, or "
                f"`pool_size=None`. Received: input shape {tuple(input_shape)}",
                argument="clips",
            )
        return (batch, *pooled, self.filters * len(self.depths))


def checked_depths(layer: str, depths: Any) -> tuple[int, ...]:
    """Returns the temporal kernel depth of each branch of a layer."""
    if not isinstance(depths, (tuple, list)) or not depths or len(set(depths)) != len(depths):
        raise InvalidArgumentError(
            f"{layer}: `depths` must be different integers, one per branch, "
            f"for example depths=(1, 3, 6). Received: {depths!r}",
            argument="depths",
        )
    return tuple(whole_number(layer, "depths", depth) for depth in depths)

"""Convolutions in half precision, which must be exact on whole numbers, and networks, which train.

```
KERAS_BACKEND=torch python -m tests.backends.half_precision [INSTRUCTION SET]
```

prints every case whose value or gradients differ from those by definition, and every dtype policy
under which a network does not train. TensorFlow and PyTorch convolve with oneDNN, which uses only
the instructions of the set, for example AVX512_CORE, which has no AMX.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_t3d.layers.operations.convolution import convolve
from keras_t3d.models import T3D

FRAMES, DEPTHS = (2, 3), (3, 6)
SPACE = ((5, 4, (3, 3)), (3, 1, (1, 3)))  # height, width, kernel
STRIDES = ((1, 1, 1), (2, 2, 2), (1, 2, 2))
GROUPS = (1, 2)
CHANNELS, FILTERS = 4, 8
# JAX, which has every operation in every dtype, compiles a network for long.
POLICIES = (
    () if keras.backend.backend() == "jax" else ("mixed_bfloat16", "mixed_float16", "bfloat16")
)


def cases() -> list[tuple[Any, ...]]:
    """Returns (sides, kernel, strides, groups) of all cases."""
    return [
        ((frames, height, width), (depth, *kernel), strides, groups)
        for frames, depth, (height, width, kernel), strides, groups in itertools.product(
            FRAMES, DEPTHS, SPACE, STRIDES, GROUPS
        )
    ]


def by_definition(
    x: np.ndarray, kernel: np.ndarray, upstream: np.ndarray, strides: Sequence[int]
) -> list[np.ndarray]:
    """Returns the value, and the gradients of clips and kernel, window by window."""
    sizes, into = kernel.shape[:3], kernel.shape[3]
    groups = x.shape[-1] // into
    padding = [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)]
    padded = np.pad(x, padding)
    y, to_padded, to_kernel = (np.zeros_like(a) for a in (upstream, padded, kernel))
    for index in np.ndindex(*upstream.shape[1:4]):
        first = [i * stride for i, stride in zip(index, strides, strict=True)]
        at = tuple(slice(i, i + size) for i, size in zip(first, sizes, strict=True))
        for group in range(groups):
            read = slice(group * into, (group + 1) * into)
            made = slice(group * FILTERS // groups, (group + 1) * FILTERS // groups)
            window = padded[(slice(None), *at, read)]
            gradient = upstream[(slice(None), *index, made)]
            y[(slice(None), *index, made)] = np.einsum("bthwc,thwcf->bf", window, kernel[..., made])
            to_kernel[..., made] += np.einsum("bthwc,bf->thwcf", window, gradient)
            to_padded[(slice(None), *at, read)] += np.einsum(
                "bf,thwcf->bthwc", gradient, kernel[..., made]
            )
    inside = tuple(
        slice(before, before + side)
        for (before, _), side in zip(padding[1:4], x.shape[1:4], strict=True)
    )
    return [y, to_padded[(slice(None), *inside)], to_kernel]


def computed(
    x: np.ndarray, kernel: np.ndarray, upstream: np.ndarray, strides: Sequence[int], dtype: str
) -> list[np.ndarray]:
    """Returns the same by the backend that Keras runs on."""

    weights = keras.ops.convert_to_tensor(upstream)

    def weighed(x: Any, kernel: Any) -> Any:
        y = convolve(x, kernel, strides)
        return keras.ops.sum(keras.ops.cast(y, "float32") * weights), y

    tensors = [keras.ops.cast(keras.ops.convert_to_tensor(a), dtype) for a in (x, kernel)]
    if keras.backend.backend() == "jax":
        import jax

        # One compilation takes less than those of all operations.
        (_, y), gradients = jax.jit(jax.value_and_grad(weighed, (0, 1), has_aux=True))(*tensors)
    elif keras.backend.backend() == "torch":
        tensors = [tensor.requires_grad_() for tensor in tensors]
        loss, y = weighed(*tensors)
        loss.backward()
        gradients = [tensor.grad for tensor in tensors]
        y = y.detach()
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss, y = weighed(*tensors)
        gradients = tape.gradient(loss, tensors)
    return [keras.ops.convert_to_numpy(keras.ops.cast(a, "float32")) for a in (y, *gradients)]


def wrong_cases(dtype: str) -> list[str]:
    """Returns a line for each case that is not exact."""
    rng = np.random.default_rng(0)
    wrong = []
    # JAX compiles every case anew: a few, of all frames, depths and strides.
    for sides, sizes, strides, groups in cases()[:: 5 if keras.backend.backend() == "jax" else 1]:
        made = [(side - 1) // stride + 1 for side, stride in zip(sides, strides, strict=True)]
        # Small whole numbers: no sum exceeds 256, which even bfloat16 has exactly.
        x, kernel, upstream = (
            rng.integers(-1, 2, shape).astype("float32")
            for shape in (
                (2, *sides, CHANNELS),
                (*sizes, CHANNELS // groups, FILTERS),
                (2, *made, FILTERS),
            )
        )
        expected = by_definition(x, kernel, upstream, strides)
        found = computed(x, kernel, upstream, strides, dtype)
        for name, one, other in zip(
            ("value", "to clips", "to kernel"), found, expected, strict=True
        ):
            if not np.array_equal(one, other):
                error = np.abs(one - other).max()
                wrong.append(f"{dtype} {name} {sides} * {sizes} / {strides}, {groups}: {error:g}")
    return wrong


def trains(policy: str) -> bool:
    """Returns whether a step of a network under a dtype policy has a finite loss."""
    options = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4, "dtype": policy}
    network = T3D((4, 16, 16, 3), 2, transition_filters=4, transition_depths=[(1, 6)], **options)
    network.compile(keras.optimizers.SGD(0.01), jit_compile=keras.backend.backend() == "jax")
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), "uint8")
    loss, _ = network.train_on_batch(clips, np.array([0, 1]))
    return bool(np.isfinite(loss))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["ONEDNN_MAX_CPU_ISA"] = sys.argv[1]  # which oneDNN reads when it starts
    lines = [line for dtype in ("bfloat16", "float16") for line in wrong_cases(dtype)]
    lines += [f"no training in {policy}" for policy in POLICIES if not trains(policy)]
    print("\n".join(lines) or "all exact")

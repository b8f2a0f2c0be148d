"""What stays in float32 when a network computes in half precision."""

from __future__ import annotations

from typing import Any

from keras_t3d.layers.operations.pooling import has_average_pool


def exact_dtype(policy: Any) -> Any:
    """Policy of a network's end: sums over a clip overflow half precision, logits want digits."""
    return "float32" if policy.compute_dtype in ("float16", "bfloat16") else policy


def pooling_dtype(policy: Any) -> Any:
    """Policy of 3D average pooling, for which backends lack kernels in half precision."""
    return policy if has_average_pool(policy.compute_dtype) else "float32"

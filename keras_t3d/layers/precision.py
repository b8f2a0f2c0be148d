"""What stays in float32 when a network computes in half precision."""

from __future__ import annotations

from typing import Any


def exact_dtype(policy: Any) -> Any:
    """Policy of a network's end: sums over a clip overflow half precision, logits want digits."""
    return "float32" if policy.compute_dtype in ("float16", "bfloat16") else policy


def pooling_dtype(policy: Any) -> Any:
    """Policy of 3D pooling: TensorFlow has no float16 kernel for it on CPU."""
    return "float32" if policy.compute_dtype == "float16" else policy

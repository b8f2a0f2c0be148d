"""Inputs that `serving.py` sends to a server: one clip of noise as clip, videos and JPEG images."""

from __future__ import annotations

import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))  # for tests.deploy, whose server this uses

FRAME = (240, 320)  # of the whole videos that are sent


def inputs_of(folder: str) -> dict[str, Any]:
    """Returns one clip of noise, and videos just long enough for it.

    Resized videos have frames of the size that shards have and that `keras-t3d query` sends.
    """
    from keras_t3d.clips import resize_frames, resized_size

    spec = clip_spec_of(folder)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (spec.span, 15, 20, 3), np.uint8)
    whole = resize_frames(coarse, *FRAME)
    resized = resize_frames(whole, *resized_size(*FRAME, spec.resize))
    return {
        "views": rng.integers(0, 256, (1, *spec.input_shape), np.uint8),
        "whole_video": whole[None],
        "resized": resized[None],
        "whole_jpeg": np.array([[_jpeg(frame) for frame in whole]], object),
        "resized_jpeg": np.array([[_jpeg(frame) for frame in resized]], object),
    }


def _jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def module_of_tests(module: str) -> Any:
    """Imports a module of tests/deploy, late because most import TensorFlow."""
    return importlib.import_module(f"tests.deploy.{module}")


def clip_spec_of(folder: str) -> Any:
    from keras_t3d import ClipSpec

    path = Path(folder) / "t3d" / "1" / "assets.extra" / "clip_spec.json"
    return ClipSpec.from_config(json.loads(path.read_text()))


def connected(server: dict[str, int], protocol: str) -> Any:
    from keras_t3d.deploy import connect

    if protocol == "grpc":
        return connect(f"127.0.0.1:{server['grpc']}/t3d", grpc=True)
    return connect(f"http://127.0.0.1:{server['rest']}/v1/models/t3d")

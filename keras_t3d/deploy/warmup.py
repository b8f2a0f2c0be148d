"""Warm-up requests, which TF Serving runs when it loads a version.

Without them the first request of each signature waits while TensorFlow plans its graph.
They are a TFRecord file of PredictionLog messages beside the SavedModel.

Reference:
    https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from keras_t3d.artifact_files import LABELS
from keras_t3d.clips import ClipSpec
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.deploy.serving_messages import constant_tensor, message_classes
from keras_t3d.streaming import StreamingForm

WARMUP_REQUESTS = "tf_serving_warmup_requests"  # the name that TF Serving expects
_FRAME = (240, 320)  # a usual size, which is resized and cropped
_GREY = np.uint8(128)
_FILES = {"names": constant_tensor((1,), LABELS.encode())}


Requests = Mapping[str, Mapping[str, Any]]  # tensors by name, by signature


def write_warmup_requests(path: str | os.PathLike[str], requests: Requests) -> None:
    """Writes one request for each signature."""
    with RecordWriter(path) as writer:
        for signature, tensors in requests.items():
            writer.write(_prediction_log(signature, tensors).SerializeToString())


def clip_requests(clip_spec: ClipSpec) -> Requests:
    """Returns requests for the signatures of clips, for a grey video."""
    video = constant_tensor((1, clip_spec.span, *_FRAME, 3), _GREY)
    return {
        "serving_default": {"clips": video},
        "serve_jpeg": {"frames": constant_tensor((1, clip_spec.span), _grey_jpeg())},
        "views": {"clips": constant_tensor((1, *clip_spec.input_shape), _GREY)},
        "features": {"clips": video},
        "files": _FILES,
    }


def step_requests(stream: StreamingForm) -> Requests:
    """Returns requests for the signatures of a stream, for grey frames."""
    shape = (1, stream.frames_per_step, *stream.model.clip_spec.input_shape[1:])
    state = {
        name: constant_tensor((1, *size), np.float32(0))
        for name, size in stream.state_shapes.items()
    }
    return {
        "step": {"frames": constant_tensor(shape, _GREY), **state},
        "initial_state": {"batch": constant_tensor((), np.int64(1))},
        "files": _FILES,
    }


def _prediction_log(signature: str, tensors: Mapping[str, Any]) -> Any:
    log = message_classes["PredictionLog"]()
    request = log.predict_log.request
    request.model_spec.signature_name = signature  # TF Serving expects no model name
    for name, tensor in tensors.items():
        request.inputs[name].CopyFrom(tensor)
    return log


def _grey_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*_FRAME, 3), _GREY)).save(buffer, "JPEG")
    return buffer.getvalue()

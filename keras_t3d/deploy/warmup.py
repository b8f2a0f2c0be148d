"""Warm-up requests, which TF Serving runs when it loads a version.

Without them the first request of each signature waits while TensorFlow plans its graph.
They are a TFRecord file of PredictionLog messages beside the SavedModel.

Reference:
    https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from PIL import Image

from keras_t3d.artifact_files import LABELS
from keras_t3d.clips import ClipSpec
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.deploy.serving_messages import constant_tensor, message_classes

WARMUP_REQUESTS = "tf_serving_warmup_requests"  # the name that TF Serving expects
_FRAME = (240, 320)  # a usual size, which is resized and cropped


def write_warmup_requests(path: str | os.PathLike[str], clip_spec: ClipSpec) -> None:
    """Writes one request for each signature of `export_saved_model`, for a grey video."""
    video = constant_tensor((1, clip_spec.span, *_FRAME, 3), 128)
    inputs = {
        "serving_default": {"clips": video},
        "serve_jpeg": {"frames": constant_tensor((1, clip_spec.span), _grey_jpeg())},
        "views": {"clips": constant_tensor((1, *clip_spec.input_shape), 128)},
        "features": {"clips": video},
        "files": {"names": constant_tensor((1,), LABELS.encode())},
    }
    with RecordWriter(path) as writer:
        for signature, tensors in inputs.items():
            writer.write(_prediction_log(signature, tensors).SerializeToString())


def _prediction_log(signature: str, tensors: dict[str, Any]) -> Any:
    log = message_classes["PredictionLog"]()
    request = log.predict_log.request
    request.model_spec.signature_name = signature  # TF Serving expects no model name
    for name, tensor in tensors.items():
        request.inputs[name].CopyFrom(tensor)
    return log


def _grey_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*_FRAME, 3), 128, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()

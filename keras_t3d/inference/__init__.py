"""From a video file to class names and probabilities, with any of three predictors.

```
predict_video: views over the whole video -> one answer
stream_video:  a window slides over it    -> an answer for every window, with its times
watch_frames:  the same, written over each picture
```

Names load when first used: a LiteRT model needs no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.inference.camera import Camera
    from keras_t3d.inference.load import load_predictor
    from keras_t3d.inference.predict import predict_video
    from keras_t3d.inference.predictor import Predictor
    from keras_t3d.inference.smoothing import Exponential, MeanOfLast
    from keras_t3d.inference.stream import WindowScores, stream_video
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.watching import WatchedFrame, watch, watch_frames
    from keras_t3d.inference.window_records import window_file, window_record

_ROOMS = {
    "Camera": "camera",
    "Exponential": "smoothing",
    "MeanOfLast": "smoothing",
    "Predictor": "predictor",
    "Timeline": "timeline",
    "WatchedFrame": "watching",
    "WindowScores": "stream",
    "load_predictor": "load",
    "predict_video": "predict",
    "stream_video": "stream",
    "watch": "watching",
    "watch_frames": "watching",
    "window_file": "window_records",
    "window_record": "window_records",
}
__all__ = [
    "Camera",
    "Exponential",
    "MeanOfLast",
    "Predictor",
    "Timeline",
    "WatchedFrame",
    "WindowScores",
    "load_predictor",
    "predict_video",
    "stream_video",
    "watch",
    "watch_frames",
    "window_file",
    "window_record",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.inference.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.inference' has no attribute {name!r}")

"""Windows of a stream: its steps, which follow each other without a gap."""

from __future__ import annotations

from typing import Any

from keras_t3d.errors import check_argument
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import SlidingWindow, Window
from keras_t3d.inference.stream_predictor import StreamPredictor


def predictor_and_windows(
    predictor: Predictor, options: WindowOptions
) -> tuple[Predictor, SlidingWindow]:
    """Returns the predictor of one video and its windows: for a stream, steps that continue it.

    Raises:
        InvalidArgumentError: if `options` place the windows of a stream, or take several crops.
    """
    if not isinstance(predictor, StreamPredictor):
        return predictor, SlidingWindow(predictor.clip_spec, options)
    for name, default in (("hop", None), ("hop_frames", None), ("num_crops", 1)):
        value: Any = getattr(options, name)
        rule = f"left out for a stream, which answers every {predictor.frames_per_step} frames"
        check_argument(name, value, value == default, rule)
    stream = predictor.continued()
    hop = predictor.frames_per_step * predictor.clip_spec.frame_stride
    return stream, StepWindows(stream.clip_spec, WindowOptions(hop_frames=hop))


class StepWindows(SlidingWindow):
    """Windows without one that ends with the video, as a step may take no frame twice."""

    def finish(self) -> Window | None:
        return None

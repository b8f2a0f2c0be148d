"""Windows of a stream: its steps, which follow each other without a gap."""

from __future__ import annotations

import warnings
from typing import Any

from keras_t3d.errors import KerasT3DWarning, check_argument
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import SlidingWindow, Window
from keras_t3d.inference.stream_predictor import ContinuedStream, StreamPredictor

_PAUSE = 5.0  # a step that takes as many times as long as the one before it


# The options that place windows, with their defaults.
_PLACES: dict[str, Any] = {"hop": None, "hop_frames": None, "num_crops": 1}


def predictor_and_windows(
    predictor: Predictor, options: WindowOptions
) -> tuple[Predictor, SlidingWindow]:
    """Returns the predictor of one video and its windows: for a stream, steps that continue it.

    A causal Keras model streams unless `options` place windows.

    Raises:
        InvalidArgumentError: if `options` place the windows of an exported stream.
    """
    if isinstance(predictor, StreamPredictor):
        _check_places_none(options, predictor)
        return _continued(predictor)
    if not _placed(options) and hasattr(predictor, "streaming"):
        stream = predictor.streaming()
        if stream is not None:
            return _continued(stream)
    return predictor, SlidingWindow(predictor.clip_spec, options)


def _placed(options: WindowOptions) -> list[str]:
    """Returns the names of the options that place windows."""
    return [name for name, default in _PLACES.items() if getattr(options, name) != default]


def _check_places_none(options: WindowOptions, stream: StreamPredictor) -> None:
    rule = f"left out for a stream, which answers every {stream.frames_per_step} frames"
    for name in _placed(options):
        check_argument(name, getattr(options, name), False, rule)


def _continued(predictor: StreamPredictor) -> tuple[Predictor, SlidingWindow]:
    stream = predictor.continued()
    return stream, StepWindows(stream.clip_spec, WindowOptions(hop_frames=_frames_apart(stream)))


def _frames_apart(stream: ContinuedStream) -> int:
    """Returns the frames of the video from the start of a step to that of the next."""
    return stream.clip_spec.num_frames * stream.clip_spec.frame_stride


def most_waiting(predictor: Predictor) -> int:
    """Returns how many windows may wait until their video is ahead of the predictions.

    Of a stream as many steps as a clip has, so that at least as many follow each other.
    """
    return predictor.steps_per_clip if isinstance(predictor, ContinuedStream) else 1


class StepWindows(SlidingWindow):
    """Windows without one that ends with the video, as a step may take no frame twice."""

    def finish(self) -> Window | None:
        return None


class StreamRestartWarning(KerasT3DWarning):
    """Frames are missing between two steps of a stream, which starts again after them."""


class StepContinuity:
    """Starts a stream again where a camera paused, or steps were dropped.

    Args:
        predictor: predictor of the steps, or of windows, which need no continuity.
    """

    def __init__(self, predictor: Any) -> None:
        self._stream = predictor if isinstance(predictor, ContinuedStream) else None
        self._previous: Window | None = None
        self._has_warned_of_drops = False

    def __call__(self, window: Window) -> None:
        """Call it before the prediction of each window, in order.

        Warns:
            StreamRestartWarning: if the stream starts again after a pause, and the first time that
                it does so after dropped frames.
        """
        previous, self._previous = self._previous, window
        if self._stream is None or previous is None:
            return
        dropped = window.first_frame - previous.first_frame - _frames_apart(self._stream)
        seconds = window.end - window.start
        if dropped > 0:
            self._stream.reset()
            if not self._has_warned_of_drops:
                self._has_warned_of_drops = True
                _warn(window, f"{dropped} frames before it were dropped, as the model is too slow")
        elif seconds > _PAUSE * (previous.end - previous.start):
            self._stream.reset()
            _warn(window, f"the camera paused for {seconds:.1f} s")


def _warn(window: Window, reason: str) -> None:
    text = f"The stream starts again at {window.start:.2f} s: {reason}"
    warnings.warn(text, StreamRestartWarning, stacklevel=3)

"""Streams that a server computes step by step, with the state kept by the client."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping

import numpy as np

from keras_t3d.data.video.damage import warn_of_damage
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.deploy.serving_client.client import ServingClient
from keras_t3d.errors import InvalidArgumentError, check_argument
from keras_t3d.inference.stream import stream_video
from keras_t3d.inference.stream_predictor import StreamPredictor

_STEP, _FIRST = "step", "initial_state"


def serves_stream(client: ServingClient) -> bool:
    """Whether the served model has the signatures of a stream."""
    return {_STEP, _FIRST} <= client.signatures.keys()


def served_stream(client: ServingClient) -> StreamPredictor:
    """Returns a predictor of a served stream, which sends a request for each step.

    Args:
        client: client of a model that was exported with `streaming`.

    Returns:
        A StreamPredictor, for `stream_video` and for `Stream`. The state is kept here and sent
        with each step.

    Raises:
        InvalidArgumentError: if the served model is no stream.
        ServingError: if a request fails, with one subclass per cause.

    Example:

    ```python
    with connect("http://localhost:8501/v1/models/stream") as client:
        for window in keras_t3d.inference.stream_video(served_stream(client), "film.mp4"):
            print(window.end, window.probabilities)
    ```
    """
    if not serves_stream(client):
        raise InvalidArgumentError(
            "`server` must serve a stream to be asked for its steps: export a causal network "
            "by `keras-t3d export saved-model best.keras serving/t3d --streaming`. Received: "
            f"{client.address.text} with signatures {', '.join(sorted(client.signatures))}",
            argument="server",
        )
    shape = client.signatures[_STEP].inputs["frames"].shape or ()
    return StreamPredictor(
        ServedSteps(client), client.class_names, client.clip_spec, int(shape[1] or 0)
    )


def query_stream(
    client: ServingClient,
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
) -> np.ndarray:
    """Returns the probabilities of a served stream after the last step of a video.

    Args:
        client: client of the model.
        path: video file.
        start: as for VideoReader.
        end: as for VideoReader.

    Raises:
        InvalidArgumentError: if the served model is no stream, or the video is shorter than a step.
        ServingError: if a request fails.
    """
    stream = served_stream(client)
    with VideoReader(path, 1, start, end) as reader:
        last = collections.deque(stream_video(stream, reader), maxlen=1)
    warn_of_damage(path, reader.damage)
    check_argument(
        "path", path, bool(last), f"a video of at least one step: {stream.frames_per_step} frames"
    )
    return last[0].probabilities


class ServedSteps:
    """A served stream as a function from frames and state to both after a step.

    Args:
        client: client of the model.
    """

    def __init__(self, client: ServingClient) -> None:
        self._client = client

    def initial_state(self) -> dict[str, np.ndarray]:
        """Returns the state before the first frame."""
        return self._client.predict(_FIRST, {"batch": np.array(1, np.int64)})

    def __call__(
        self, frames: np.ndarray, state: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Maps frames, uint8 (1, n, H, W, 3), to probabilities, float32 (1, classes), and state."""
        after = self._client.predict(_STEP, {"frames": frames, **state})
        return after.pop("probabilities"), after

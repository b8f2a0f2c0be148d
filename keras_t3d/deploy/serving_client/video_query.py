"""Queries a served model about a video file."""

from __future__ import annotations

import io
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_t3d.artifact_files import (
    OPENVINO_MODEL,
    has_version,
    newest_version,
    openvino_texts,
    read_artifact,
)
from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.video.damage import warn_of_damage
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.deploy.serving_client.client import ServingClient
from keras_t3d.deploy.serving_client.connection import connect
from keras_t3d.deploy.serving_client.stream_query import query_stream, serves_stream
from keras_t3d.errors import InvalidArgumentError, check_argument, check_integer
from keras_t3d.inference.predictor import top_classes
from keras_t3d.inference.video_views import read_clips, whole_frames

_JPEG_QUALITY = 95


def query(
    server: str | ServingClient,
    path: str | os.PathLike[str],
    top: int = 5,
    num_views: int | None = None,
    jpeg: bool = False,
    clip_spec: ClipSpec | str | os.PathLike[str] | None = None,
    grpc: bool = False,
    timeout: float = 60.0,
    start: float | None = None,
    end: float | None = None,
) -> list[tuple[str, float]]:
    """Classifies a video by a served model.

    The served model returns its ClipSpec. Views spread over the whole video are cut here, sent in
    batches, and their probabilities averaged, as `predict_video` does. A model without the
    signature `files` receives the whole decoded video and takes the centre view itself. Of a
    stream, the steps are sent one after the other, and the answer after the last one counts.

    Args:
        server: address as for `connect`, or a ServingClient.
        path: video file.
        top: number of classes to return.
        num_views: number of views to score. None covers the video without gaps, with at most 10.
        jpeg: whether to send JPEG images, which the server decodes: at most a tenth of the bytes,
            with slightly different probabilities.
        clip_spec: ClipSpec, `clip_spec.json` or directory of a served model without the signature
            `files`, as of an OpenVINO model.
        grpc: whether `server` is a gRPC address.
        timeout: seconds for each request to an address; a ServingClient has its own.
        start: seconds of the video to begin at; None for its start.
        end: seconds of the video to end at; None for its end.

    Returns:
        (class name, probability) pairs, the most probable first.

    Raises:
        InvalidArgumentError: if an argument is out of its range.
        ServingError: if a request fails, with one subclass per cause.

    Warns:
        DamagedVideoWarning: if a part of the video cannot be decoded; the rest is scored.

    Example:

    ```python
    query("http://localhost:8501/v1/models/t3d", "clip.mp4", top=2)
    query("localhost:8500/t3d", "clip.mp4", grpc=True)
    ```
    """
    check_integer("top", top, 1, 5)
    if isinstance(server, str):
        with connect(server, grpc, timeout) as client:
            return query(client, path, top, num_views, jpeg, clip_spec, start=start, end=end)
    server.forget()
    if serves_stream(server):
        _check_left_out(num_views=num_views, jpeg=jpeg or None, clip_spec=clip_spec)
        return top_classes(query_stream(server, path, start, end), server.class_names, top)
    names, known_spec = _read_clip_spec(clip_spec)
    if known_spec is None and server.has_clip_spec:
        known_spec = server.clip_spec
    if known_spec is None:
        return _query_whole_video(server, path, top, num_views, jpeg, start, end)
    windows, damage = read_clips(path, known_spec, num_views, _span, whole_frames, start, end)
    warn_of_damage(path, damage)
    if jpeg:
        rows = np.array([[_encode(frame) for frame in window] for window in windows], object)
        scores = server.in_batches("serve_jpeg", "frames", rows)
    else:
        views = np.stack([take_view(np.stack(window), known_spec) for window in windows])
        scores = server.in_batches("views", "clips", views)
    if server.has_clip_spec:
        names = server.class_names
    elif names is not None and len(names) != scores.shape[1]:
        raise InvalidArgumentError(
            "`clip_spec` must be of the served model, with as many classes. "
            f"Received: {clip_spec} with {len(names)} classes; the server has {scores.shape[1]}",
            argument="clip_spec",
        )
    return top_classes(scores.mean(axis=0), names or list(map(str, range(scores.shape[1]))), top)


def _check_left_out(**options: object) -> None:
    for name, value in options.items():
        check_argument(name, value, value is None, "left out for a stream, which reads all steps")


def _query_whole_video(
    server: ServingClient,
    path: str | os.PathLike[str],
    top: int,
    num_views: int | None,
    jpeg: bool,
    start: float | None,
    end: float | None,
) -> list[tuple[str, float]]:
    rule = (
        "left out without `clip_spec`, as this served model has no signature `files` and takes the "
        "centre view itself. Set `clip_spec`, for example to "
        "serving/t3d/1/assets.extra/clip_spec.json"
    )
    check_argument("num_views", num_views, num_views in (None, 1), rule)
    frames, num_bytes = [], 0
    with VideoReader(path, 1, start, end) as reader:
        for frame in reader:
            frames.append(np.array(_encode(frame), object) if jpeg else frame)
            num_bytes += server.sent_bytes(frames[-1])
            server.check_size(num_bytes)  # here, before a long video fills the memory
    warn_of_damage(path, reader.damage)
    video = np.stack(frames)[None]
    signature, name = ("serve_jpeg", "frames") if jpeg else ("serving_default", "clips")
    outputs = server.predict(signature, {name: video})
    named = zip(outputs["top_classes"][0].tolist(), outputs["top_scores"][0].tolist(), strict=True)
    return list(named)[:top]


def _span(num_frames: int, clip_spec: ClipSpec, start: int) -> range:
    """Returns the frames of which a view is the centre view, here or on the server."""
    return range(start, min(start + clip_spec.span, num_frames))


def _encode(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _read_clip_spec(
    clip_spec: ClipSpec | str | os.PathLike[str] | None,
) -> tuple[Sequence[str] | None, ClipSpec | None]:
    """Returns the class names, of a model's directory only, and the ClipSpec."""
    if clip_spec is None or isinstance(clip_spec, ClipSpec):
        return None, clip_spec
    path = pathlib.Path(clip_spec)
    try:
        if path.is_dir() and has_version(path, OPENVINO_MODEL):
            texts = openvino_texts(newest_version(path, OPENVINO_MODEL) / OPENVINO_MODEL)
            return read_artifact(lambda name: texts[name].encode())
        if path.is_dir():
            extra = newest_version(path) / "assets.extra"
            return read_artifact(lambda name: (extra / name).read_bytes())
        return None, ClipSpec.from_config(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InvalidArgumentError(
            "`clip_spec` must be the clip_spec.json of the served model, or its directory as "
            f"exported, for example serving/t3d/1 ({error}). Received: {path}",
            argument="clip_spec",
        ) from None

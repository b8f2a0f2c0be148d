"""From a video file to what a server says of it."""

from __future__ import annotations

import io
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_t3d.artifact_files import newest_version, read_artifact
from keras_t3d.clips import ClipSpec, resize_short_side, take_view, view_starts
from keras_t3d.data.video.reader import VideoReader, warn_of_damage
from keras_t3d.deploy.serving_client.client import ServingClient, strings
from keras_t3d.deploy.serving_client.connection import connect
from keras_t3d.inference.predictor import check_top, top_classes

_JPEG_QUALITY = 95


def query(
    server: str | ServingClient,
    path: str | os.PathLike[str],
    top: int = 5,
    num_views: int | None = None,
    jpeg: bool = False,
    spec: ClipSpec | str | os.PathLike[str] | None = None,
    grpc: bool = False,
    timeout: float = 60.0,
) -> list[tuple[str, float]]:
    """Asks a server what happens in a video.

    The server says what its model's clips are; views spread over the whole video are cut
    here, sent in batches, and their probabilities averaged, as `predict_video` does. A model
    that cannot say (one exported before the signature `files`) gets the whole decoded video,
    of which it takes the centre view itself.

    Args:
        server: str, an address as `connect` takes, or a ServingClient.
        path: path of the video.
        top: int. How many classes to return. Defaults to `5`.
        num_views: int. Views to score; `None` takes as many as cover the video without gaps,
            at most 10. Defaults to `None`.
        jpeg: bool. Whether to send JPEG images, which the server decodes: a tenth of the bytes
            or less, for a loss that moves probabilities a little. Defaults to `False`.
        spec: ClipSpec, or path of a `clip_spec.json` or of a SavedModel's folder, of a served
            model that cannot say its own. Defaults to `None`.
        grpc: bool. Whether an address is one of gRPC. Defaults to `False`.
        timeout: float. Seconds for each request to an address; a ServingClient has its own.
            Defaults to `60.0`.

    Returns:
        (class name, probability), most probable first.

    Raises:
        ValueError: if an argument is out of its range, or the video cannot be read.
        ServingError: if the server gives no answer; one class for each cause.

    Warns:
        DamagedVideoWarning: if a part of the video does not decode; the rest is scored.

    Example:

    ```python
    query("http://localhost:8501/v1/models/t3d", "clip.mp4", top=2)
    query("localhost:8500/t3d", "clip.mp4", grpc=True)
    ```
    """
    check_top(top)
    if isinstance(server, str):
        with connect(server, grpc, timeout) as client:
            return query(client, path, top, num_views, jpeg, spec)
    server.forget()
    names, clips = _read_spec(spec)
    if clips is None and server.knows_clips:
        clips = server.clip_spec
    if clips is None:
        return _of_whole_video(server, path, top, num_views, jpeg)
    windows = _windows(path, clips, num_views)
    if jpeg:
        rows = strings([[_encoded(frame) for frame in window] for window in windows])
        scores = server.in_batches("serve_jpeg", "frames", rows)
    else:
        views = np.stack([take_view(np.stack(window), clips) for window in windows])
        scores = server.in_batches("views", "clips", views)
    if server.knows_clips:
        names = server.class_names
    elif names is not None and len(names) != scores.shape[1]:
        raise ValueError(
            "--spec must be of the model that is served, with as many classes. "
            f"Received: {spec} with {len(names)} classes, where {scores.shape[1]} are served"
        )
    return top_classes(scores.mean(axis=0), names or list(map(str, range(scores.shape[1]))), top)


def _of_whole_video(
    server: ServingClient,
    path: str | os.PathLike[str],
    top: int,
    num_views: int | None,
    jpeg: bool,
) -> list[tuple[str, float]]:
    if num_views not in (None, 1):
        raise ValueError(
            "The served model does not say what its clips are, so only the server can cut a view, "
            "the centre one: leave --views out, or name the ClipSpec, for example --spec "
            f"serving/t3d/1/assets.extra/clip_spec.json. Received: {num_views} views"
        )
    frames, num_bytes = [], 0
    with VideoReader(path) as reader:
        for frame in reader:
            frames.append(np.array(_encoded(frame), object) if jpeg else frame)
            num_bytes += server.sent_bytes(frames[-1])
            server.check_size(num_bytes)  # now: a long film's frames fill the memory
    warn_of_damage(reader)
    video = np.stack(frames)[None]
    if jpeg:
        answer = server.predict("serve_jpeg", {"frames": video})
    else:
        answer = server.predict("serving_default", {"clips": video})
    named = zip(answer["top_classes"][0].tolist(), answer["top_scores"][0].tolist(), strict=True)
    return list(named)[:top]


def _windows(
    path: str | os.PathLike[str], spec: ClipSpec, num_views: int | None
) -> list[Sequence[np.ndarray]]:
    """The stretches of a video that its views reach over, in frames as large as is needed.

    The centre view of a stretch is the view: the server may take it as well as we.
    """
    with VideoReader(path) as reader:
        num_frames = reader.count()
    starts = view_starts(num_frames, spec, num_views)
    stretches = [range(start, min(start + spec.span, num_frames)) for start in starts]
    with VideoReader(path) as reader:
        frames = {
            index: resize_short_side(frame, spec.resize)
            for index, frame in reader.pick({index for stretch in stretches for index in stretch})
        }
    warn_of_damage(reader)
    return [[frames[index] for index in stretch] for stretch in stretches]


def _encoded(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _read_spec(
    spec: ClipSpec | str | os.PathLike[str] | None,
) -> tuple[Sequence[str] | None, ClipSpec | None]:
    """Class names, where they lie beside, and ClipSpec."""
    if spec is None or isinstance(spec, ClipSpec):
        return None, spec
    path = pathlib.Path(spec)
    try:
        if path.is_dir():
            extra = newest_version(path) / "assets.extra"
            return read_artifact(lambda name: (extra / name).read_bytes())
        return None, ClipSpec.from_config(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            "Expected the clip_spec.json of the served model, or its SavedModel's folder, for "
            f"example serving/t3d/1 ({error}). Received: {path}"
        ) from None

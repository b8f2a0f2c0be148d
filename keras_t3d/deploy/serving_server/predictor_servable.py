"""The signatures of an exported SavedModel, computed by a predictor of any format."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.clips import clip_frames, take_view
from keras_t3d.deploy.frame_sides import SIDES, can_be_viewed
from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec
from keras_t3d.deploy.serving_server.models import Arrays
from keras_t3d.deploy.serving_server.status import invalid
from keras_t3d.errors import KerasT3DError
from keras_t3d.inference.predictor import Embedder, Predictor

_TOP = 5  # number of classes returned with a name
_JPEG_START = b"\xff\xd8\xff"


class PredictorServable:
    """Serves a predictor with the signatures of `export_saved_model`.

    Args:
        predictor: predicts the clips.
        embedder: computes their embeddings; None leaves out the signature `features`.

    Attributes:
        signatures: what it computes, by name.
    """

    def __init__(self, predictor: Predictor, embedder: Embedder | None = None) -> None:
        self._predictor, self._embedder = predictor, embedder
        self._texts = artifact_texts(predictor.class_names, predictor.clip_spec)
        num_classes = len(predictor.class_names)
        top = min(_TOP, num_classes)
        classes = {
            "probabilities": TensorSpec("float32", (None, num_classes)),
            "top_classes": TensorSpec("string", (None, top)),
            "top_scores": TensorSpec("float32", (None, top)),
        }
        videos = {"clips": TensorSpec("uint8", (None, None, None, None, 3))}
        frames = {"frames": TensorSpec("string", (None, None))}
        views = {"clips": TensorSpec("uint8", (None, *predictor.clip_spec.input_shape))}
        texts = ({"names": TensorSpec("string", (None,))}, {"contents": TensorSpec("string", None)})
        self.signatures = {
            "serving_default": Signature(videos, classes),
            "serve_jpeg": Signature(frames, classes),
            "views": Signature(views, classes),
            "files": Signature(*texts),
        }
        self._compute: dict[str, Callable[[np.ndarray], Arrays]] = {
            "serving_default": lambda clips: self._classes(self._centre_views(clips)),
            "serve_jpeg": lambda frames: self._classes(self._decoded_views(frames)),
            "views": self._classes,
            "files": self._files,
        }
        if embedder is not None:
            embedding = {"embedding": TensorSpec("float32", (None, None))}
            self.signatures["features"] = Signature(videos, embedding)
            self._compute["features"] = lambda clips: {
                "embedding": embedder.embeddings(self._centre_views(clips))
            }

    def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Computes a signature; see `Servable`."""
        ((name, spec),) = self.signatures[signature].inputs.items()
        _check(signature, name, inputs[name], spec)
        try:
            return self._compute[signature](inputs[name])
        except KerasT3DError as error:
            raise invalid(f"{signature}: {error}") from None

    def _classes(self, clips: np.ndarray) -> Arrays:
        # One at a time: a clip of the larger networks needs hundreds of megabytes.
        rows = [self._predictor.probabilities(clip[None]) for clip in clips]
        probabilities = np.concatenate(rows).astype(np.float32)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :_TOP]
        names = np.array([name.encode() for name in self._predictor.class_names], object)
        scores = np.take_along_axis(probabilities, best, axis=1)
        return {"probabilities": probabilities, "top_classes": names[best], "top_scores": scores}

    def _centre_views(self, videos: np.ndarray) -> np.ndarray:
        _check_sides(*videos.shape[2:4])
        return np.stack([take_view(video, self._predictor.clip_spec) for video in videos])

    def _decoded_views(self, videos: np.ndarray) -> np.ndarray:
        clip_spec = self._predictor.clip_spec
        frame_spec = dataclasses.replace(clip_spec, num_frames=1)
        chosen = clip_frames(videos.shape[1], clip_spec)
        return np.stack(
            [
                np.concatenate([take_view(_decoded(image)[None], frame_spec) for image in row])
                for row in videos[:, chosen]
            ]
        )

    def _files(self, names: np.ndarray) -> Arrays:
        wanted = [name.decode("utf-8", "replace") for name in names]
        unknown = [name for name in wanted if name not in self._texts]
        if unknown:
            raise invalid(f"files: expected names among {', '.join(self._texts)}, not {unknown}")
        return {"contents": np.array([self._texts[name].encode() for name in wanted], object)}


def _check(signature: str, name: str, array: np.ndarray, spec: TensorSpec) -> None:
    dtype = "string" if array.dtype == object else str(array.dtype)
    if dtype != spec.dtype:
        raise invalid(f"{signature}: `{name}` must be {spec.dtype}. Received: {dtype}")
    sizes = spec.shape or ()
    fits = len(array.shape) == len(sizes) and all(
        size > 0 and known in (None, size) for size, known in zip(array.shape, sizes, strict=True)
    )
    if not fits:
        shape = ", ".join("n" if size is None else str(size) for size in sizes)
        received = " ".join(map(str, array.shape))
        raise invalid(
            f"{signature}: expected `{name}` of shape ({shape}), none of them 0. "
            f"Received: [{received}]"
        )


def _check_sides(height: int, width: int) -> None:
    if not can_be_viewed(height, width):
        raise invalid(f"{SIDES}. Received: [{height} {width}]")


def _decoded(encoded: bytes) -> np.ndarray:
    if not encoded.startswith(_JPEG_START):
        raise invalid("serve_jpeg: expected JPEG images, whose bytes begin with 255 216 255")
    try:
        with Image.open(io.BytesIO(encoded), formats=["JPEG"]) as image:
            _check_sides(image.height, image.width)  # of the header, before it is decoded
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise invalid(f"serve_jpeg: an image cannot be decoded: {error}") from None

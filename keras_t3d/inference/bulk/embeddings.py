"""Embeds many videos, for search and clustering: one after the other, or to a file."""

from __future__ import annotations

import base64
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_t3d.data.sources.named_videos import VideoSource, named_videos
from keras_t3d.inference.bulk import tables
from keras_t3d.inference.bulk.arrays import StreamedArray, text_array, write_npz
from keras_t3d.inference.bulk.engine import VideoResult, video_results
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.part_file import Row
from keras_t3d.inference.bulk.result_file import BulkReport, Computation, Rows, Work, write_results
from keras_t3d.inference.load import load_embedder
from keras_t3d.progress import Progress

_FLOAT32 = np.dtype("<f4")


def embed_videos(
    model: Any, videos: VideoSource, options: BulkOptions | None = None
) -> Iterator[VideoResult]:
    """Computes the embeddings of many videos: the features that the classifying layer reads.

    Args:
        model: as for `load_embedder`; with classes or, as `pretrain` writes it, without.
        videos: as for `predict_videos`.
        options: BulkOptions; None means the default of each option.

    Yields:
        A VideoResult for each video, in their order. Its values are the mean of the embeddings of
        its views.

    Raises:
        InvalidArgumentError: if an argument is invalid, or the model has no embedding.
        SourceError: if a csv file is malformed.

    Example:

    ```python
    for result in keras_t3d.inference.embed_videos("best.keras", "films"):
        print(result.video, result.values.shape)  # (width,)
    ```
    """
    listed = named_videos(videos)
    embedder = load_embedder(model)
    return video_results(embedder.embeddings, embedder.clip_spec, listed, options or BulkOptions())


def write_embeddings(
    model: Any,
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions | None = None,
    *,
    progress: Progress | None = None,
) -> BulkReport:
    """Writes the embeddings of many videos to a file; a killed call resumes.

    See `write_predictions`, which does the same with classes.

    Args:
        model: as for `embed_videos`.
        videos: as for `predict_videos`.
        out: a `.npz` file of the arrays `videos` and `embeddings`, float32 (videos, width), and
            `unreadable` and `reasons` for the videos without; or a `.parquet` file, one row per
            video.
        options: BulkOptions; None means the default of each option.
        progress: called with (videos done, videos in all).

    Returns:
        A BulkReport.

    Raises:
        InvalidArgumentError: as `embed_videos` does, and if `OUT.part` holds results of another
            model, of other videos or options.
        SourceError: if a csv file is malformed.
        MissingPackageError: if `out` is a Parquet file and pyarrow is not installed.

    Example:

    ```python
    keras_t3d.inference.write_embeddings("best.keras", "films", "embeddings.npz")
    np.load("embeddings.npz")["embeddings"].shape  # (videos, width)
    ```
    """
    return write_results(EMBEDDINGS, model, videos, out, options or BulkOptions(), progress)


def _load(model: Any) -> Computation:
    embedder = load_embedder(model)
    return Computation(embedder.embeddings, embedder.clip_spec, _row)


def _row(result: VideoResult) -> Row:
    values = result.values
    encoded = None if values is None else base64.b64encode(values.astype(_FLOAT32).tobytes())
    return {
        "video": result.video,
        "embedding": encoded and encoded.decode(),
        "views": result.num_views,
        "damage": result.damage,
        "error": result.error,
    }


def _embedding(row: Row) -> np.ndarray:
    return np.frombuffer(base64.b64decode(row["embedding"]), _FLOAT32)


def _write_npz(rows: Rows, path: pathlib.Path) -> None:
    def readable() -> Iterator[Row]:
        return (row for row in rows() if row["error"] is None)

    def unreadable() -> Iterator[Row]:
        return (row for row in rows() if row["error"] is not None)

    videos = text_array(lambda: (row["video"] for row in readable()))
    width = next((len(_embedding(row)) for row in readable()), 0)
    arrays = {
        "videos": videos,
        "embeddings": StreamedArray(_FLOAT32, (*videos.shape, width), map(_embedding, readable())),
        "unreadable": text_array(lambda: (row["video"] for row in unreadable())),
        "reasons": text_array(lambda: (row["error"] for row in unreadable())),
    }
    write_npz(arrays, path)


def _write_parquet(rows: Rows, path: pathlib.Path) -> None:
    import pyarrow

    columns = {
        "video": pyarrow.string(),
        "embedding": pyarrow.list_(pyarrow.float32()),
        "views": pyarrow.int32(),
        "damage": pyarrow.string(),
        "error": pyarrow.string(),
    }
    decoded = (row if row["error"] else {**row, "embedding": _embedding(row)} for row in rows())
    tables.write_parquet(decoded, pyarrow.schema(columns), path)


_WRITERS = {"embeddings.npz": _write_npz, "embeddings.parquet": _write_parquet}
EMBEDDINGS = Work("embeddings", _load, _WRITERS, {})

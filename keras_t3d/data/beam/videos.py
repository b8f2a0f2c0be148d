"""Where launcher and workers find the same videos."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable

from apache_beam.io.filesystems import FileSystems

from keras_t3d.data.beam.errors import BeamError
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.errors import InvalidArgumentError


def path_of_workers(source: str, videos_at: str | None) -> Callable[[str], str]:
    """Returns the function from the path of a video to the path at which the workers find it.

    Args:
        source: folder of all videos, or a csv file in it, as the launcher sees it.
        videos_at: the same folder, as the workers see it; None for the same path.
    """
    root = source if os.path.isdir(source) else os.path.dirname(source)

    def relocated(path: str) -> str:
        if videos_at is None:
            return path
        below = os.path.relpath(path, root)
        if below.split(os.sep)[0] == os.pardir:
            raise InvalidArgumentError(
                f"`videos_at` replaces {root}, so all videos must be below it. Received: {path}",
                argument="videos_at",
            )
        return f"{str(videos_at).rstrip('/')}/{below}"

    return relocated


def local_path(path: str, folder: str) -> str:
    """Returns a local path of a video, which is fetched to `folder` if it is in a bucket.

    Reading a video that no longer exists is left to what decodes it.

    Raises:
        BeamError: if the worker does not see the folder of the video.
    """
    if not is_address(path):
        if not os.path.exists(path):
            _check_visible(path)
        return path
    copy = os.path.join(folder, path.rpartition("/")[2])
    if not FileSystems.exists(path):
        _check_visible(path)
        return copy
    with FileSystems.open(path, compression_type="uncompressed") as video, open(copy, "wb") as file:
        shutil.copyfileobj(video, file, 2**20)
    return copy


def _check_visible(path: str) -> None:
    """Raises a BeamError if the folder of a missing video is empty or missing.

    Then the worker does not see the videos, which is not the same as a missing video.
    """
    folder = path.rpartition("/")[0]
    if is_address(path):
        is_visible = bool(FileSystems.match([f"{folder}/*"], [1])[0].metadata_list)
    else:
        is_visible = os.path.isdir(folder) and bool(os.listdir(folder))
    if not is_visible:
        raise BeamError(
            f"The worker {socket.gethostname()} does not see {path}, nor other files in its "
            "folder: the videos must be at the same path on all workers, or in a bucket"
        )

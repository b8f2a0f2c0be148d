"""Published files of weights: from a folder, from the cache, or downloaded once."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import socket

from keras_t3d.atomic import remove, written_beside
from keras_t3d.errors import KerasT3DError
from keras_t3d.folder_lock import written_by_many

FOLDER_VARIABLE = "KERAS_T3D_WEIGHTS"  # a folder with the files, for machines without internet
SERVER_VARIABLE = "KERAS_T3D_WEIGHTS_URL"  # a server that has them, in place of the publishers'
STALLED_SECONDS = 60.0  # without an answer, after which a download fails
_SUBFOLDER = "keras_t3d"


class DownloadError(KerasT3DError, OSError):
    """A published file cannot be downloaded, or differs from the published one."""


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """A file of published weights.

    Args:
        url: where it is published.
        sha256: its SHA-256 in hexadecimal digits; None if only its MD5 is published.
        md5: its MD5, if that is all that is published.
    """

    url: str
    sha256: str | None = None
    md5: str | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


def cache_folder() -> pathlib.Path:
    """Returns the folder for weights in Keras's: `~/.keras/keras_t3d`, or below `KERAS_HOME`."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras", _SUBFOLDER)


def find_local(name: str) -> pathlib.Path | None:
    """Returns the file of this name in the folder that `KERAS_T3D_WEIGHTS` names, if any."""
    folder = os.environ.get(FOLDER_VARIABLE)
    path = pathlib.Path(folder, name) if folder else None
    return path if path is not None and path.is_file() else None


def fetch(file: PublishedFile) -> pathlib.Path:
    """Returns the path of a published file; downloads it unless it is here already.

    It is taken from the folder that the environment variable `KERAS_T3D_WEIGHTS` names, then from
    `cache_folder()`. `KERAS_T3D_WEIGHTS_URL` names another server, by the URL of its folder.
    Several processes may fetch the same file at once: each of them downloads it.

    Args:
        file: the file.

    Raises:
        DownloadError: if it cannot be downloaded, or differs from the published one. Nothing is
            kept then.

    Example:

    ```python
    weights = keras_t3d.models.list_weights("r3d_18")["kinetics400"]
    path = fetch(weights.file)  # downloads 127 MB
    ```
    """
    local = find_local(file.name)
    if local is not None:
        _check(local, file, "copy it again")
        return local
    target = cache_folder() / file.name
    if target.is_file() and _sha256(target) == file.sha256:
        return target
    server = os.environ.get(SERVER_VARIABLE)
    url = f"{server.rstrip('/')}/{file.name}" if server else file.url
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_by_many(target.parent), written_beside(target) as part:
            _download(url, part)
            _check(part, file, "try again", url)
    except DownloadError:
        raise
    except Exception as error:  # urllib, http.client, socket and Keras raise many classes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DownloadError(f"Cannot download {url}{advice(file.name)} ({reason})") from error
    return target


def advice(name: str) -> str:
    """Returns the end of a message: where to put a file that cannot be downloaded."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return (
        f". On a machine without internet, put {name} into a folder and set the environment "
        f"variable {FOLDER_VARIABLE} to it. Received: {FOLDER_VARIABLE}={folder or ''}"
    )


def _download(url: str, path: pathlib.Path) -> None:
    import keras

    remove(path)  # Keras would take it for the file
    # Keras adds the subfolder to `cache_dir`.
    folder, subfolder = path.parent.parent, path.parent.name
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or STALLED_SECONDS)  # Keras would wait forever
    try:
        keras.utils.get_file(path.name, url, cache_dir=folder, cache_subdir=subfolder)
    finally:
        socket.setdefaulttimeout(before)


def _check(path: pathlib.Path, file: PublishedFile, remedy: str, url: str | None = None) -> None:
    """Raises DownloadError if a file is not the published one."""
    found = _sha256(path)
    if found != file.sha256:
        raise DownloadError(
            f"{url or path} is damaged, incomplete, or not the published file: {remedy}. Its "
            f"SHA-256 must be {file.sha256}. Received: {found}, of {path.stat().st_size} bytes"
        )


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Files in object stores, by address: `s3://`, `gs://` and others that tf.io.gfile reads."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any

from keras_t3d.data.shards.errors import ShardError
from keras_t3d.errors import InvalidArgumentError, MissingPackageError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_LOST_SLASH = re.compile(r"[a-z][a-z0-9+.-]+:/[^/]")
_PIECE = 2**20  # bytes per read
# tensorflow-io waits five minutes for each of ten attempts, and has its own endpoint variable.
_S3_DEFAULTS = {
    "S3_CONNECT_TIMEOUT_MSEC": "5000",
    "S3_REQUEST_TIMEOUT_MSEC": "10000",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "4",
}
_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether a path has a scheme, as `s3://bucket/folder`.

    Raises:
        InvalidArgumentError: if it had one and lost a slash.
    """
    text = os.fspath(path)
    if _LOST_SLASH.match(text) and not os.path.exists(text):
        raise InvalidArgumentError(
            "An address has two slashes after its scheme, for example s3://bucket/folder; "
            f"pathlib.Path drops one: pass the address as a str. Received: {text}"
        )
    return _ADDRESS.match(text) is not None


class Address:
    """A file or a folder in an object store; `/` joins, as with pathlib.Path.

    Args:
        text: str. For example `s3://bucket/folder`.

    Raises:
        MissingPackageError: if tensorflow-io is needed to read it and absent.
        InvalidArgumentError: if it names no bucket or host, or nothing can read its scheme.
    """

    def __init__(self, text: str) -> None:
        match = _ADDRESS.match(text)
        if match is None or not match[2].strip("/"):
            raise InvalidArgumentError(
                f"An address must be like s3://bucket/folder. Received: {text!r}"
            )
        self._text = text.rstrip("/")
        self._scheme = match[1]
        self._files = _file_system(self._scheme)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Address({self._text!r})"

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self._text}/{name}")

    def check_bucket(self) -> None:
        """Raises a ShardError if the store cannot be reached, or has no such bucket.

        Files may be readable without the permission to query the bucket.
        """
        import tensorflow as tf

        if self._scheme != "s3":
            return
        bucket = "/".join(self._text.split("/")[:3]) + "/"
        with self._explained(), contextlib.suppress(tf.errors.PermissionDeniedError):
            try:
                self._files.stat(bucket)
            except tf.errors.NotFoundError:
                raise ShardError(
                    f"There is no bucket {bucket}{self._endpoint()}. Received: {self}"
                ) from None

    def size(self) -> int:
        """Returns the size of the file in bytes.

        Raises:
            FileNotFoundError: if there is no such file.
            InvalidArgumentError: if it cannot be read.
        """
        import tensorflow as tf

        try:
            return int(self._files.stat(self._text).length)
        except tf.errors.OpError:
            next(self.pieces(), b"")  # raises the cause, which stat hides
        with self._explained():
            return int(self._files.stat(self._text).length)

    def read_bytes(self) -> bytes:
        """Returns the content of the file. Raises as `size` does."""
        return b"".join(self.pieces())

    def sha256(self) -> str:
        """Returns the file's SHA-256, in hexadecimal. Raises as `size` does."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """Yields the content of the file piece by piece. Raises as `size` does."""
        with self._explained(), self._files.GFile(self._text, "rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except tf.errors.NotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from None
        except tf.errors.OpError as error:
            kind = type(error).__name__.removesuffix("Error")
            raise ShardError(
                f"{self} cannot be read: {kind}: {error.message.lstrip(': ').rstrip('.')}"
                f"{self._endpoint()}. Check address, region, credentials and endpoint; "
                "docs/object_stores.md says which variables are read."
            ) from None

    def _endpoint(self) -> str:
        endpoint = os.environ.get("S3_ENDPOINT") if self._scheme == "s3" else None
        return f" (S3_ENDPOINT={endpoint})" if endpoint else ""


@functools.cache
def _file_system(scheme: str) -> Any:
    """Returns tf.io.gfile once it knows the scheme."""
    import tensorflow as tf

    if scheme == "s3":
        _set_s3_defaults()
    if scheme not in tf.io.gfile.get_registered_schemes():
        try:
            import tensorflow_io  # noqa: F401  (registers its schemes)
        except ImportError:
            raise MissingPackageError(
                f"To read {scheme}:// addresses, tensorflow-io must be installed: "
                "pip install 'keras-t3d[io]', with Python 3.11 or 3.12."
            ) from None
    known = sorted(name for name in tf.io.gfile.get_registered_schemes() if name)
    if scheme not in known:
        raise InvalidArgumentError(
            f"TensorFlow {tf.__version__} reads no {scheme}:// addresses, only those of {known}. "
            "For s3:// install versions that fit each other: pip install 'keras-t3d[io]'. "
            f"Received: {scheme}://"
        )
    if scheme == "s3":
        _end_before_the_s3_library()
    return tf.io.gfile


def _set_s3_defaults() -> None:
    for name, value in _S3_DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in _S3_ENDPOINTS:
        if name in os.environ:
            os.environ.setdefault("S3_ENDPOINT", os.environ[name])


def _end_before_the_s3_library() -> None:
    """Ends the process before the teardown of tensorflow-io's S3 library, which aborts it.

    Otherwise every process that read from S3 ends with status 134. Python has closed its own
    files by then.

    Reference:
        https://github.com/tensorflow/io/issues/2039
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):  # Linux
        library.on_exit(library._exit, None)

"""Base class of the REST and gRPC clients: retries, errors, and the Predictor interface."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from keras_t3d.artifact_files import CLIP_SPEC, LABELS, read_artifact
from keras_t3d.clips import ClipSpec
from keras_t3d.deploy.serving_client.address import Address
from keras_t3d.deploy.serving_client.deadline import Deadline, with_retries
from keras_t3d.deploy.serving_client.errors import (
    Failure,
    ModelNotReadyError,
    ServingError,
    serving_error,
)
from keras_t3d.deploy.serving_client.tensors import Signature, checked_inputs
from keras_t3d.inference.predictor import validate_clips

Result = TypeVar("Result")

MOST_BYTES = 2**31 - 1  # of a request: the limit of protobuf, applied to REST too
_FRAME_BYTES = 2**20  # allowance for everything but the arrays


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """State of a version on the server, such as AVAILABLE or LOADING, and its error."""

    version: int
    state: str
    error: str


class ServingClient:
    """A Predictor over a model that TF Serving serves. Create it with `connect`.

    It is safe from several threads, until it is closed.

    Args:
        address: address of the model.
        timeout: seconds for a request, including its retries.
        attempts: maximum number of attempts where the server could not accept a request.
        batch_size: number of views per request, which the server holds in memory.

    Raises:
        ServingError: each method, with one subclass per cause
            (`keras_t3d.deploy.serving_client.errors`).
    """

    def __init__(self, address: Address, timeout: float, attempts: int, batch_size: int) -> None:
        self.address = address
        self.timeout = timeout
        self.attempts = attempts
        self.batch_size = batch_size
        self._known: dict[str, Signature] | None = None
        self._files: tuple[tuple[str, ...], ClipSpec] | None = None

    # Implemented by each protocol: one attempt of each request, which raises Failure.

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        raise NotImplementedError

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        raise NotImplementedError

    def sent_bytes(self, array: np.ndarray) -> int:
        """Returns the approximate size of an array in a request."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connection."""

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Interface of the server.

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature of the served model.

        Args:
            signature: name such as `"views"`; see `export_saved_model`.
            inputs: arrays of uint8, float32 or int64, or of bytes or strings, by name.

        Returns:
            The outputs by name: float32, or strings in an array of objects.

        Raises:
            InvalidArgumentError: if an input has another type.
        """
        arrays = checked_inputs(inputs)
        self.check_size(sum(map(self.sent_bytes, arrays.values())))
        return self._request(lambda deadline: self._predict(signature, arrays, deadline))

    def check_size(self, num_bytes: int) -> None:
        """Raises RequestTooLargeError if arrays of this total `sent_bytes` exceed the limit."""
        if num_bytes + _FRAME_BYTES > MOST_BYTES:
            message = f"{num_bytes / 2**30:.1f} GiB or more; the limit is 2 GiB"
            raise serving_error(Failure("TOO_LARGE", message), self.address.text)

    @property
    def signatures(self) -> dict[str, Signature]:
        """The signatures of the served model, by name, requested once."""
        return self._request(self._known_signatures)

    def _known_signatures(self, deadline: Deadline) -> dict[str, Signature]:
        known = self._known  # another thread may call `forget`
        if known is None:
            self._known = known = self._signatures(deadline)
        return known

    def forget(self) -> None:
        """Clears cached signatures, classes and ClipSpec, as another version may be served now."""
        self._known = self._files = None

    def status(self) -> list[VersionStatus]:
        """Returns the versions of the model on the server, with their states."""
        return self._request(self._status)

    def _request(self, attempt: Callable[[Deadline], Result]) -> Result:
        deadline = Deadline(self.timeout)
        try:
            return with_retries(attempt, deadline, self.attempts)
        except Failure as failure:
            raise self._error(failure, deadline) from None

    def _error(self, failure: Failure, deadline: Deadline) -> ServingError:
        """Returns the error; for a model not found, the reason from its versions' states."""
        versions = []
        if failure.code == "NOT_FOUND":
            with contextlib.suppress(Failure):
                versions = self._status(deadline)
        for version in sorted(versions, key=lambda version: version.version, reverse=True):
            if version.error:
                return ModelNotReadyError(
                    f"The server could not load version {version.version} of the model. "
                    f"Address: {self.address.text}. Received: {version.error}"
                )
            if version.state in ("START", "LOADING"):
                return ModelNotReadyError(
                    f"The server is still loading version {version.version} of the model: try "
                    f"again later. Address: {self.address.text}"
                )
        return serving_error(failure, self.address.text)

    # Interface of a Predictor.

    @property
    def clip_spec(self) -> ClipSpec:
        """ClipSpec of the served model, requested once, until `forget`."""
        return self._read_files()[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names of the served model, requested once, until `forget`."""
        return self._read_files()[0]

    @property
    def has_clip_spec(self) -> bool:
        """Whether the served model has the signature `files`, which returns its ClipSpec."""
        return "files" in self.signatures

    def _read_files(self) -> tuple[tuple[str, ...], ClipSpec]:
        files = self._files  # another thread may call `forget`
        if files is not None:
            return files
        if not self.has_clip_spec:
            raise ServingError(
                "The served model does not have the signature `files`, which returns its ClipSpec: "
                "export it again with `export_saved_model`, or set `clip_spec`, for example to "
                "clip_spec.json. "
                f"Address: {self.address.text}. Received: signatures {sorted(self.signatures)}"
            )
        names = (LABELS, CLIP_SPEC)
        outputs = self.predict("files", {"names": np.array(names, object)})
        texts = dict(zip(names, outputs["contents"].tolist(), strict=True))
        self._files = files = read_artifact(lambda name: texts[name].encode())
        return files

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, classes)`."""
        return self.in_batches("views", "clips", validate_clips(clips, self.clip_spec))

    def in_batches(self, signature: str, name: str, rows: np.ndarray) -> np.ndarray:
        """Sends rows to a signature, in batches.

        Args:
            signature: name of a signature that returns `probabilities`.
            name: name of its input.
            rows: array of shape (n, ...).

        Returns:
            float32 array of shape (n, classes).
        """
        batches = []
        for start in range(0, len(rows), self.batch_size):
            outputs = self.predict(signature, {name: rows[start : start + self.batch_size]})
            scores = outputs.get("probabilities")
            if scores is None or scores.ndim != 2 or scores.dtype != np.float32:
                received = {key: f"{array.dtype} {array.shape}" for key, array in outputs.items()}
                raise ServingError(
                    "The served model was not exported by `export_saved_model`: it does not return "
                    "`probabilities`, float32 (clips, classes). "
                    f"Address: {self.address.text}. Received: {received}"
                )
            files = self._files
            if files is not None and scores.shape[1] != len(files[0]):
                raise ServingError(
                    "The server now serves another version of the model, with other classes: "
                    f"connect again, or call forget(). Address: {self.address.text}. "
                    f"Received: {scores.shape[1]} classes, {len(files[0])} before"
                )
            batches.append(scores)
        return np.concatenate(batches)

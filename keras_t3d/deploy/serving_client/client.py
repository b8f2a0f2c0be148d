"""What both protocols' clients share: retries, errors, and a Predictor over the answers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np

from keras_t3d.artifact_files import CLIP_SPEC, LABELS, read_artifact
from keras_t3d.clips import ClipSpec
from keras_t3d.deploy.serving_client.address import Address
from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import (
    Failure,
    ModelNotReadyError,
    ServingError,
    serving_error,
)
from keras_t3d.deploy.serving_client.inputs import checked_inputs
from keras_t3d.deploy.serving_client.retries import with_retries
from keras_t3d.inference.predictor import validate_clips

Answer = TypeVar("Answer")

MOST_BYTES = 2**31 - 1  # of a request: protobuf's own limit, which REST is held to as well
_FRAME_BYTES = 2**20  # for what surrounds the arrays


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Type, and sizes where they are fixed, of a signature's tensor."""

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """What a server says of one version: its state, such as AVAILABLE or LOADING, and an error."""

    version: int
    state: str
    error: str


class ServingClient:
    """A model behind TF Serving, as a Predictor. `connect` makes one.

    Args:
        address: Address.
        timeout: float. Seconds for a request, its retries included.
        attempts: int. How often a request is tried that the server could not take.
        batch_size: int. Views sent at once; the server holds them all.

    Raises:
        ServingError: each method, with a class of its own for each cause
            (`keras_t3d.deploy.serving_client.errors`).
    """

    def __init__(self, address: Address, timeout: float, attempts: int, batch_size: int) -> None:
        self.address = address
        self.timeout = timeout
        self.attempts = attempts
        self.batch_size = batch_size
        self._known: dict[str, Signature] | None = None
        self._files: tuple[tuple[str, ...], ClipSpec] | None = None

    # What a protocol fills in: one attempt of each request, which raises Failure.

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        raise NotImplementedError

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        raise NotImplementedError

    def sent_bytes(self, array: np.ndarray) -> int:
        """Returns about how many bytes an array takes in a request."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives the connection back."""

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The server's interface.

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature of the served model.

        Args:
            signature: str. Such as `"views"`; `export_saved_model` lists them.
            inputs: by name, arrays of uint8, float32 or int64, or of bytes or strings.

        Returns:
            The outputs by name: float32, or strings in an array of objects.

        Raises:
            ValueError: if an input is of another type.
        """
        arrays = checked_inputs(inputs)
        self.check_size(sum(map(self.sent_bytes, arrays.values())))
        return self._asked(lambda deadline: self._predict(signature, arrays, deadline))

    def check_size(self, num_bytes: int) -> None:
        """Raises RequestTooLargeError if arrays of so many `sent_bytes` are not sent at once."""
        if num_bytes + _FRAME_BYTES > MOST_BYTES:
            said = f"{num_bytes / 2**30:.1f} GiB or more, where a request has 2 GiB at most"
            raise serving_error(Failure("TOO_LARGE", said), self.address.text)

    @property
    def signatures(self) -> dict[str, Signature]:
        """The signatures of the served model, by name, asked for once."""
        return self._asked(self._known_signatures)

    def _known_signatures(self, deadline: Deadline) -> dict[str, Signature]:
        if self._known is None:
            self._known = self._signatures(deadline)
        return self._known

    def forget(self) -> None:
        """Forgets signatures, classes and ClipSpec: another version may be served by now."""
        self._known = self._files = None

    def status(self) -> list[VersionStatus]:
        """Says which versions the server knows, and in which state each is."""
        return self._asked(self._status)

    def _asked(self, attempt: Callable[[Deadline], Answer]) -> Answer:
        deadline = Deadline(self.timeout)
        try:
            return with_retries(attempt, deadline, self.attempts)
        except Failure as failure:
            raise self._error(failure, deadline) from None

    def _error(self, failure: Failure, deadline: Deadline) -> ServingError:
        """Asks why, where a model is not served that may be there."""
        versions = []
        if failure.code == "NOT_FOUND":
            with contextlib.suppress(Failure):
                versions = self._status(deadline)
        for version in sorted(versions, key=lambda version: version.version, reverse=True):
            if version.error:
                return ModelNotReadyError(
                    f"The server could not load version {version.version} of the model. "
                    f"Asked: {self.address.text}. Received: {version.error}"
                )
            if version.state in ("START", "LOADING"):
                return ModelNotReadyError(
                    f"The server is still loading version {version.version} of the model: ask "
                    f"again in a while. Asked: {self.address.text}"
                )
        return serving_error(failure, self.address.text)

    # A Predictor.

    @property
    def clip_spec(self) -> ClipSpec:
        """What a clip of the served model is; the server is asked once, until `forget`."""
        return self._read_files()[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of its classes; the server is asked once, until `forget`."""
        return self._read_files()[0]

    @property
    def knows_clips(self) -> bool:
        """Whether the served model can say what its clips are: it has the signature `files`."""
        return "files" in self.signatures

    def _read_files(self) -> tuple[tuple[str, ...], ClipSpec]:
        if self._files is not None:
            return self._files
        if not self.knows_clips:
            raise ServingError(
                "The served model does not say what its clips are: export it again with `keras-t3d "
                "export saved-model`, or name its ClipSpec (--spec clip_spec.json). "
                f"Asked: {self.address.text}. Received: signatures {sorted(self.signatures)}"
            )
        names = (LABELS, CLIP_SPEC)
        answer = self.predict("files", {"names": strings([name.encode() for name in names])})
        texts = dict(zip(names, answer["contents"].tolist(), strict=True))
        self._files = read_artifact(lambda name: texts[name].encode())
        return self._files

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, classes)`."""
        return self.in_batches("views", "clips", validate_clips(clips, self.clip_spec))

    def in_batches(self, signature: str, name: str, rows: np.ndarray) -> np.ndarray:
        """Sends rows to a signature, a few at a time.

        Args:
            signature: str. One that gives `probabilities`.
            name: str. Of its input.
            rows: array of shape (n, ...).

        Returns:
            float32 array of shape (n, classes).
        """
        answers = []
        for start in range(0, len(rows), self.batch_size):
            answer = self.predict(signature, {name: rows[start : start + self.batch_size]})
            scores = answer.get("probabilities")
            if scores is None or scores.ndim != 2 or scores.dtype != np.float32:
                received = {key: f"{array.dtype} {array.shape}" for key, array in answer.items()}
                raise ServingError(
                    "The served model gives no `probabilities`, float32 (clips, classes): it was "
                    "not exported by `keras-t3d export saved-model`. "
                    f"Asked: {self.address.text}. Received: {received}"
                )
            if self._files is not None and scores.shape[1] != len(self._files[0]):
                raise ServingError(
                    "The server serves another version of the model by now, with other classes: "
                    f"connect again, or call forget(). Asked: {self.address.text}. "
                    f"Received: {scores.shape[1]} classes, {len(self._files[0])} before"
                )
            answers.append(scores)
        return np.concatenate(answers)


def strings(values: Sequence[bytes] | Sequence[Sequence[bytes]]) -> np.ndarray:
    """Returns bytes as an array of objects, as `ServingClient.predict` takes them."""
    return np.array(values, object)

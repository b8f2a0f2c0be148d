"""What both protocols' clients share: retries, errors, and a Predictor over the answers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np

from keras_t3d.artifact_files import CLIP_SPEC, LABELS, read_artifact
from keras_t3d.clips import ClipSpec
from keras_t3d.deploy.serving_client.address import Address
from keras_t3d.deploy.serving_client.errors import (
    Failure,
    ModelNotReadyError,
    ServingError,
    serving_error,
)
from keras_t3d.deploy.serving_client.retries import with_retries
from keras_t3d.inference.predictor import checked_clips

Answer = TypeVar("Answer")


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
        batch_size: int. Views sent at once; the server holds them all. Defaults to `4`.

    Raises:
        ServingError: each method, with a class of its own for each cause
            (`keras_t3d.deploy.serving_client.errors`).
    """

    def __init__(
        self, address: Address, timeout: float, attempts: int, batch_size: int = 4
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.attempts = attempts
        self.batch_size = batch_size

    # What a protocol fills in: one attempt of each request, which raises Failure.

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float
    ) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _signatures(self, seconds: float) -> dict[str, Signature]:
        raise NotImplementedError

    def _status(self, seconds: float) -> list[VersionStatus]:
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
            inputs: by name, uint8 arrays, or arrays of objects that hold bytes.

        Returns:
            The outputs by name: float32, or strings in an array of objects.
        """
        return self._asked(lambda seconds: self._predict(signature, inputs, seconds))

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """The signatures of the served model, by name, asked for once."""
        return self._asked(self._signatures)

    def status(self) -> list[VersionStatus]:
        """Says which versions the server knows, and in which state each is."""
        return self._asked(self._status)

    def _asked(self, attempt: Callable[[float], Answer]) -> Answer:
        try:
            return with_retries(attempt, self.timeout, self.attempts)
        except Failure as failure:
            raise self._error(failure) from None

    def _error(self, failure: Failure) -> ServingError:
        """Asks why, where a model is not served that may be there."""
        versions = []
        if failure.code == "NOT_FOUND":
            with contextlib.suppress(Failure):
                versions = self._status(self.timeout)
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
        """What a clip of the served model is; the server is asked once."""
        return self._artifact[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of its classes; the server is asked once."""
        return self._artifact[0]

    @property
    def knows_clips(self) -> bool:
        """Whether the served model can say what its clips are: it has the signature `files`."""
        return "files" in self.signatures

    @functools.cached_property
    def _artifact(self) -> tuple[tuple[str, ...], ClipSpec]:
        if not self.knows_clips:
            raise ServingError(
                "The served model does not say what its clips are: export it again with `keras-t3d "
                "export saved-model`, or name its ClipSpec (--spec clip_spec.json). "
                f"Asked: {self.address.text}. Received: signatures {sorted(self.signatures)}"
            )
        names = (LABELS, CLIP_SPEC)
        answer = self.predict("files", {"names": strings([name.encode() for name in names])})
        texts = dict(zip(names, answer["contents"].tolist(), strict=True))
        return read_artifact(lambda name: texts[name].encode())

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, classes)`."""
        return self.in_batches("views", "clips", checked_clips(clips, self.clip_spec))

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
            if "probabilities" not in answer:
                raise ServingError(
                    "The served model gives no `probabilities`: it was not exported by `keras-t3d "
                    f"export saved-model`. Asked: {self.address.text}. Received: {sorted(answer)}"
                )
            answers.append(answer["probabilities"])
        return np.concatenate(answers)


def strings(values: Sequence[bytes] | Sequence[Sequence[bytes]]) -> np.ndarray:
    """Returns bytes as an array of objects, as `ServingClient.predict` takes them."""
    return np.array(values, object)

"""The models of a server, and what it answers about them, whatever the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from keras_t3d.deploy.serving_client.client import VersionStatus
from keras_t3d.deploy.serving_client.tensors import Signature
from keras_t3d.deploy.serving_server.status import StatusError, invalid

Arrays = Mapping[str, np.ndarray]
DEFAULT_SIGNATURE = "serving_default"


class Servable(Protocol):
    """One version of a model. It is called from several threads at once."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """What it computes, by name."""
        ...

    def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Computes a signature.

        Raises:
            StatusError: if the model refuses the inputs.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The model and the signature that a request names.

    Attributes:
        name: name of the model.
        version: its version; None is the newest.
        label: label of a version, which no model here has; empty for none.
        signature: name of the signature.
    """

    name: str
    version: int | None = None
    label: str = ""
    signature: str = DEFAULT_SIGNATURE


class ServedModels:
    """Models by name and version.

    Args:
        servables: versions by number, by name of the model.

    Example:

    ```python
    from keras_t3d.deploy.serving_server.predictor_servable import PredictorServable

    models = ServedModels({"t3d": {1: PredictorServable(predictor)}})
    models.status(ModelSpec("t3d"))
    ```
    """

    def __init__(self, servables: Mapping[str, Mapping[int, Servable]]) -> None:
        self._servables = servables

    def find(self, spec: ModelSpec) -> tuple[int, Servable]:
        """Returns the version that a request names, and its number."""
        versions = self._servables.get(spec.name, {})
        if spec.label:
            raise invalid(f"Unrecognized servable version label: {spec.label}")
        if spec.version is not None and spec.version not in versions:
            received = f"Specific({spec.name}, {spec.version})"
            raise StatusError("NOT_FOUND", f"Servable not found for request: {received}")
        if not versions:
            raise StatusError("NOT_FOUND", f"Servable not found for request: Latest({spec.name})")
        number = max(versions) if spec.version is None else spec.version
        return number, versions[number]

    def signature(self, spec: ModelSpec) -> Signature:
        """Returns the signature that a request names."""
        signature = self.find(spec)[1].signatures.get(spec.signature)
        if signature is None:
            message = f'Serving signature key "{spec.signature}" not found.'
            raise StatusError("FAILED_PRECONDITION", message)
        return signature

    def predict(self, spec: ModelSpec, inputs: Arrays) -> tuple[int, Arrays]:
        """Computes a signature; returns the version, and the outputs by name."""
        sent, needed = set(inputs), set(self.signature(spec).inputs)
        if sent != needed:
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(needed)}. "
                f"Sent extra: {sorted(sent - needed)}. "
                f"Missing but required: {sorted(needed - sent)}."
            )
        version, servable = self.find(spec)
        return version, servable.predict(spec.signature, inputs)

    def metadata(self, spec: ModelSpec) -> tuple[int, Mapping[str, Signature]]:
        """Returns the version, and its signatures."""
        version, servable = self.find(spec)
        return version, servable.signatures

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """Returns the states of the versions of a model."""
        versions = self._servables.get(spec.name, {})
        wanted = [v for v in versions if spec.version in (None, v)]
        if not wanted:
            what = "any versions" if spec.version is None else f"version {spec.version}"
            raise StatusError("NOT_FOUND", f"Could not find {what} of model {spec.name}")
        return [VersionStatus(version, "AVAILABLE", "") for version in wanted]

"""Sends malformed requests to a session and to a server, and measures their memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import turns
from serving_inputs import clip_spec_of, connected, inputs_of, module_of_tests

from keras_t3d.deploy.serving_server.models import ModelSpec, ServedModels
from keras_t3d.deploy.serving_server.saved_model_servable import SavedModelServable
from keras_t3d.deploy.serving_server.status import StatusError

_REFUSED = {400, "INVALID_ARGUMENT", "FAILED_PRECONDITION"}


def malformed_by_server(folder: str, server: dict[str, int], count: int) -> dict[str, Any]:
    sent = module_of_tests("malformed_requests").sent
    resident_bytes = module_of_tests("server_process").resident_bytes
    spec, clip = clip_spec_of(folder), inputs_of(folder)["views"]
    with connected(server, "grpc") as client:
        expected = client.probabilities(clip)
        for _ in sent(server["rest"], server["grpc"], spec, count // 4, seed=1):
            pass  # TensorFlow's memory grows to what these need
        before = resident_bytes(server["pid"])
        answers = list(sent(server["rest"], server["grpc"], spec, count, seed=0))
        after = resident_bytes(server["pid"])
        alive = bool(np.array_equal(client.probabilities(clip), expected))
    refused = sum(code in _REFUSED and message != "" for _, code, message in answers)
    return _found(count, refused, alive, before, after)


def malformed_by_session(folder: str, count: int) -> tuple[dict[str, Any], turns.Step]:
    malformed = module_of_tests("malformed_requests").malformed
    resident_bytes = module_of_tests("server_process").resident_bytes
    spec, clip = clip_spec_of(folder), inputs_of(folder)["views"]
    models = ServedModels({"t3d": {1: SavedModelServable(Path(folder) / "t3d" / "1")}})

    def answer(signature: str, inputs: Any) -> np.ndarray:
        return next(iter(models.predict(ModelSpec("t3d", signature=signature), inputs)[1].values()))

    expected = answer("views", {"clips": clip})

    def refusals(number: int, seed: int) -> int:
        refused = 0
        for _, signature, inputs in malformed(spec, number, seed):
            try:
                answer(signature, inputs)
            except StatusError as error:
                refused += error.code in _REFUSED and error.message != ""
        return refused

    refusals(count // 4, 1)
    before = resident_bytes(os.getpid())
    refused = refusals(count, 0)
    after = resident_bytes(os.getpid())
    alive = bool(np.array_equal(answer("views", {"clips": clip}), expected))
    return _found(count, refused, alive, before, after), int


def _found(count: int, refused: int, alive: bool, before: int, after: int) -> dict[str, Any]:
    return {
        "sent": count,
        "refused_with_a_message": refused,
        "answers_as_before": alive,
        "mib_before": round(before / 2**20, 1),
        "mib_after": round(after / 2**20, 1),
    }

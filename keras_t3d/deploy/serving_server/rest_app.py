"""TF Serving's REST interface, metrics and health, as an ASGI application.

Reference:
    https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import json
import re
import traceback
import urllib.parse
from typing import Any

from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec
from keras_t3d.deploy.serving_server.json_tensors import parse_document, parse_inputs, predictions
from keras_t3d.deploy.serving_server.metrics import RequestLog
from keras_t3d.deploy.serving_server.models import DEFAULT_SIGNATURE, ModelSpec, ServedModels
from keras_t3d.deploy.serving_server.status import (
    HTTP_STATUS,
    StatusError,
    invalid,
    missing_package,
)

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route
except ImportError:
    raise missing_package() from None

_VERSION = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_PREDICT = re.compile(rf"(?i)/v1/models/(?P<name>[^/:]+){_VERSION}:(classify|regress|predict)")
_MODEL = re.compile(rf"(?i)/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<metadata>metadata))?")
_DTYPES = {"float32": "DT_FLOAT", "uint8": "DT_UINT8", "string": "DT_STRING", "int64": "DT_INT64"}


def rest_app(models: ServedModels, log: RequestLog, max_bytes: int) -> Starlette:
    """Returns the application.

    Args:
        models: what is served.
        log: counts the requests.
        max_bytes: largest body of a request.
    """

    async def answer(request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        if not (_PREDICT.fullmatch(path) or _MODEL.fullmatch(path)):
            return PlainTextResponse("Not Found", status_code=404)
        try:
            body = await _body(request, max_bytes)
        except _TooLarge:
            message = f"The request is larger than {max_bytes} bytes, see --max-request-mib"
            return _json({"error": message}, 413)
        except ClientDisconnect:
            return Response(status_code=499)
        return await run_in_threadpool(_answered, models, log, request.method, path, body)

    async def metrics(request: Request) -> Response:
        return Response(log.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/healthz", healthy),
            Route("/monitoring/prometheus/metrics", metrics),
            Route("/{path:path}", answer, methods=["GET", "POST"]),
        ]
    )


class _TooLarge(Exception):  # noqa: N818  becomes a response
    """The body of a request is too large."""


async def _body(request: Request, max_bytes: int) -> bytes:
    """Reads the body of a request, of which no more than the limit is ever held."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            pieces.clear()  # and read on: a client that still sends would not see the response
        else:
            pieces.append(piece)
    if size > max_bytes:
        raise _TooLarge
    return b"".join(pieces)


def _answered(
    models: ServedModels, log: RequestLog, method: str, path: str, body: bytes
) -> Response:
    predicts, asks = _PREDICT.fullmatch(path), _MODEL.fullmatch(path)
    names_metadata = asks is not None and asks["metadata"]
    name = "Predict" if predicts else "GetModelMetadata" if names_metadata else "GetModelStatus"
    try:
        with log.request("rest", name):
            if method == "POST" and predicts:
                return _json(_predict(models, predicts, body))
            if method == "GET" and asks:
                return _json(_metadata(models, asks) if names_metadata else _status(models, asks))
            raise invalid(f"Malformed request: {method} {path}")
    except StatusError as error:
        return _json({"error": error.message}, HTTP_STATUS.get(error.code, 500))
    except Exception as error:
        traceback.print_exc()
        return _json({"error": f"{type(error).__name__}: {error}"}, 500)


def _json(document: dict[str, Any], status: int = 200) -> Response:
    content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status_code=status, media_type="application/json")


def _spec(match: re.Match[str], signature: str = DEFAULT_SIGNATURE) -> ModelSpec:
    if not match["name"]:
        raise invalid("Missing model name in request.")
    version = int(match["version"]) if match["version"] else None
    name, label = (urllib.parse.unquote(match[part] or "") for part in ("name", "label"))
    return ModelSpec(name, version, label, signature)


def _predict(models: ServedModels, match: re.Match[str], body: bytes) -> dict[str, Any]:
    document = parse_document(body)
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("JSON Value: 'signature_name' key must be a string value.")
    spec = _spec(match, name or DEFAULT_SIGNATURE)
    inputs, by_row = parse_inputs(document, models.signature(spec).inputs)
    _, outputs = models.predict(spec, inputs)
    return predictions(outputs, by_row)


def _status(models: ServedModels, match: re.Match[str]) -> dict[str, Any]:
    return {
        "model_version_status": [
            {
                "version": str(one.version),
                "state": one.state,
                "status": {
                    "error_code": "UNKNOWN" if one.error else "OK",
                    "error_message": one.error,
                },
            }
            for one in models.status(_spec(match))
        ]
    }


def _metadata(models: ServedModels, match: re.Match[str]) -> dict[str, Any]:
    spec = _spec(match)
    version, signatures = models.metadata(spec)
    described = {name: _signature(signature) for name, signature in signatures.items()}
    return {
        "model_spec": {"name": spec.name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": described}},
    }


def _signature(signature: Signature) -> dict[str, Any]:
    inputs, outputs = (
        {name: _tensor_info(spec) for name, spec in side.items()}
        for side in (signature.inputs, signature.outputs)
    )
    method = "tensorflow/serving/predict"
    return {"inputs": inputs, "outputs": outputs, "method_name": method}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": str(-1 if size is None else size), "name": ""} for size in spec.shape or ()]
    shape = {"dim": dims, "unknown_rank": spec.shape is None}
    return {"dtype": _DTYPES[spec.dtype], "tensor_shape": shape, "name": ""}

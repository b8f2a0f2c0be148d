"""A local server with TF Serving's REST and gRPC interfaces.

It is no TF Serving: it is written after its sources (json_tensor.cc, http_rest_api_handler.cc,
predict_util.cc, get_model_status_impl.cc at tensorflow/serving 9d981c5), with its words in
errors, over tensorflow-serving-api's own messages and services. Like TF Serving it loads a
SavedModel by the C++ loader into a session, knows it by its signatures only, runs its warm-up
requests first, and feeds what comes, whatever its shape.

    python tests/deploy/tf_serving_stand_in.py serving/t3d --rest-port 8501 --grpc-port 8500
"""

import argparse
import base64
import binascii
import contextlib
import json
import pathlib
import re
import threading
import time
import urllib.parse
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

_HTTP = {  # http_server.cc, ToHTTPStatusCode
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class StatusError(Exception):
    """What TF Serving's C++ returns as a Status."""

    def __init__(self, code, message):
        super().__init__(code, message)
        self.code, self.message = code, message


def invalid(message):
    return StatusError("INVALID_ARGUMENT", message)


class Servable:
    """One version of a model, as TF Serving loads it."""

    def __init__(self, folder, threads=None):
        self.version = int(pathlib.Path(folder).name)
        config = tf.compat.v1.ConfigProto()
        if threads:
            config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = threads
        with tf.Graph().as_default():
            self._session = tf.compat.v1.Session(config=config)
            self.meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self._calls = {
            name: self._callable(signature)
            for name, signature in self.meta_graph.signature_def.items()
            if signature.inputs
        }
        self._warm_up(pathlib.Path(folder) / "assets.extra" / "tf_serving_warmup_requests")

    def _callable(self, signature):
        # Not `Session.run`: its Python refuses wrong shapes, and C++ does not.
        feeds = [info.name for info in signature.inputs.values()]
        fetches = [info.name for info in signature.outputs.values()]
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        return self._session._make_callable_from_options(options)

    def _warm_up(self, path):
        self.warmed_up = []
        if path.exists():
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                self.predict(request)
                self.warmed_up.append(request.model_spec.signature_name)

    def signature(self, name):
        return self.meta_graph.signature_def.get(name or "serving_default")

    def run(self, name, arrays):
        """Session::Run."""
        return self._calls[name](*arrays)

    def predict(self, request):
        """predict_util.cc, RunPredict."""
        name = request.model_spec.signature_name or "serving_default"
        signature = self.signature(name)
        if signature is None:
            raise StatusError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        sent, needed = set(request.inputs), set(signature.inputs)
        if len(sent) != len(needed):
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(needed)} "
                f"len({{{','.join(sorted(sent))}}}) != len({{{','.join(sorted(needed))}}}). "
                f"Sent extra: {{{','.join(sorted(sent - needed))}}}. "
                f"Missing but required: {{{','.join(sorted(needed - sent))}}}."
            )
        if sent != needed:
            raise invalid(f"missing input: {sorted(needed - sent)[0]}")
        arrays = [_parsed(alias, request.inputs[alias]) for alias in signature.inputs]
        try:
            outputs = self.run(name, arrays)
        except tf.errors.OpError as error:
            raise StatusError(_CODES[error.error_code], error.message) from None
        response = predict_pb2.PredictResponse()
        response.model_spec.signature_name = name
        response.model_spec.version.value = self.version
        for alias, array in zip(signature.outputs, outputs, strict=True):
            _fill(response.outputs[alias], array)
        return response


def _parsed(alias, proto):
    """Tensor::FromProto. A shape without values would be filled with zeros: not above a limit."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    values = len(proto.tensor_content) or proto.ByteSize()
    if any(size < 0 for size in shape) or np.prod(shape, dtype=float) > 1000 * values + 2**28:
        raise invalid(f"tensor parsing error: {alias}")
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, KeyError):
        raise invalid(f"tensor parsing error: {alias}") from None


def _fill(proto, array):
    """Tensor::AsProtoField."""
    array = np.asarray(array)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        proto.dtype = tf.string.as_datatype_enum
        proto.string_val.extend(array.ravel().tolist())
    else:
        proto.dtype = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
        proto.float_val.extend(array.ravel().tolist())


class Models:
    """The models of a server, and what it does with a request before it looks at it.

    Attributes:
        servables: {name: {version: Servable}}.
        states: {name: [(version, state, code, message)]} of those that are not to be had.
        faults: StatusErrors, or functions, that the next requests meet, one each.
        requests: (method, name) of all that came.
    """

    def __init__(self, servables):
        self.servables = servables
        self.states = {}
        self.faults = []
        self.requests = []

    def met(self, method, spec):
        self.requests.append((method, spec.name))
        if self.faults and method != "GetModelStatus":
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            fault()

    def servable(self, spec):
        versions = self.servables.get(spec.name, {})
        if spec.HasField("version"):
            if spec.version.value in versions:
                return versions[spec.version.value]
            raise StatusError(
                "NOT_FOUND",
                f"Servable not found for request: Specific({spec.name}, {spec.version.value})",
            )
        if spec.version_label:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        if not versions:
            raise StatusError("NOT_FOUND", f"Servable not found for request: Latest({spec.name})")
        return versions[max(versions)]

    def predict(self, request):
        self.met("Predict", request.model_spec)
        response = self.servable(request.model_spec).predict(request)
        response.model_spec.name = request.model_spec.name
        return response

    def metadata(self, request):
        """get_model_metadata_impl.cc."""
        self.met("GetModelMetadata", request.model_spec)
        servable = self.servable(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.meta_graph.signature_def.items():
            signatures.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request):
        """get_model_status_impl.cc."""
        spec = request.model_spec
        self.met("GetModelStatus", spec)
        known = [(v, "AVAILABLE", 0, "") for v in self.servables.get(spec.name, {})]
        known += self.states.get(spec.name, [])
        if spec.HasField("version"):
            known = [one for one in known if one[0] == spec.version.value]
        if not known:
            what = "any versions" if not spec.HasField("version") else f"version {spec.version}"
            raise StatusError("NOT_FOUND", f"Could not find {what} of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state, code, message in known:
            one = response.model_version_status.add(version=version, state=state)
            one.status.error_code, one.status.error_message = code, message
        return response


# gRPC.


def _service(base, methods):
    """A servicer of tensorflow-serving-api's class, whose errors are statuses."""

    def answer(method):
        def call(self, request, context):
            try:
                return method(request)
            except StatusError as error:
                context.abort(getattr(grpc.StatusCode, error.code), error.message)

        return call

    return type("Servicer", (base,), {name: answer(method) for name, method in methods.items()})()


def _grpc_server(models, port):
    largest = 2**31 - 1  # server.cc, SetMaxMessageSize
    server = grpc.server(
        futures.ThreadPoolExecutor(4),
        options=[
            ("grpc.max_receive_message_length", largest),
            ("grpc.max_send_message_length", largest),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _service(
            prediction_service_pb2_grpc.PredictionServiceServicer,
            {"Predict": models.predict, "GetModelMetadata": models.metadata},
        ),
        server,
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _service(model_service_pb2_grpc.ModelServiceServicer, {"GetModelStatus": models.status}),
        server,
    )
    return server, server.add_insecure_port(f"127.0.0.1:{port}")


# REST.

_VERSION = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_PREDICT = re.compile(rf"(?i)/v1/models/(?P<name>[^/:]+){_VERSION}:(classify|regress|predict)")
_STATUS = re.compile(rf"(?i)/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<metadata>metadata))?")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._reply(_PREDICT, lambda match: _rest_predict(self.server.models, match, body))

    def do_GET(self):
        self._reply(_STATUS, lambda match: _rest_get(self.server.models, match))

    def _reply(self, pattern, answer):
        path = urllib.parse.urlsplit(self.path).path
        status, body, kind = 200, "", "application/json"
        if not (_PREDICT.fullmatch(path) or _STATUS.fullmatch(path)):
            status, kind = 404, "text/html"  # libevent's own page
            body = "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY></BODY></HTML>\n"
        else:
            try:
                match = pattern.fullmatch(path)
                if match is None:
                    raise invalid(f"Malformed request: {self.command} {path}")
                body = answer(match)
            except StatusError as error:
                status = _HTTP.get(error.code, 500)
                body = json.dumps({"error": error.message}, indent=4)
        content = body.encode()
        with contextlib.suppress(ConnectionError):  # a client may have gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def _fill_spec(spec, match):
    spec.name = urllib.parse.unquote(match["name"])
    if match["version"]:
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = urllib.parse.unquote(match["label"])


def _rest_get(models, match):
    if not match["name"]:
        raise invalid("Missing model name in request.")
    if match["metadata"]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill_spec(request.model_spec, match)
        response = models.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return json.dumps(
            {
                "model_spec": _as_json(response.model_spec),
                "metadata": {"signature_def": _as_json(signatures)},
            }
        )
    request = get_model_status_pb2.GetModelStatusRequest()
    _fill_spec(request.model_spec, match)
    return json.dumps(_as_json(models.status(request)))


def _as_json(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _rest_predict(models, match, body):
    """http_rest_api_handler.cc, ProcessPredictRequest."""
    request = predict_pb2.PredictRequest()
    _fill_spec(request.model_spec, match)
    document = _document(body)
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_shown(document)} not formatted correctly. 'signature_name' key must "
            "be a string value."
        )
    request.model_spec.signature_name = name
    signature = models.servable(request.model_spec).signature(name)
    if signature is None:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    by_row = _fill_inputs(document, signature.inputs, request.inputs)
    outputs = models.predict(request).outputs
    values = {alias: _values(tensor) for alias, tensor in outputs.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not by_row:
        return json.dumps({"outputs": values if only is None else only}, ensure_ascii=False)
    if only is None:
        only = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json.dumps({"predictions": only}, ensure_ascii=False)


def _values(tensor):
    array = tf.make_ndarray(tensor)
    if array.dtype == object:
        array = np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(array)
    elif array.dtype == np.float32:  # the shortest that reads back the same, as TF Serving has it
        return np.vectorize(lambda value: float(str(value)), otypes=[object])(array).tolist()
    return array.tolist()


def _document(body):
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: Invalid value. at offset: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def _shown(value):
    return json.dumps(value)[:256]


def _fill_inputs(document, infos, inputs):
    """json_tensor.cc, FillPredictRequestFromJson. Returns whether the format is by row."""
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise invalid(
                f"JSON Value: {_shown(document)} Expecting 'instances' to be an list/array"
            )
        if not rows:
            raise invalid(f"JSON Value: {_shown(document)} No values in 'instances' array")
        (alias,) = infos  # all signatures here have one input
        if _is_named(rows[0]):
            if any(not _is_named(row) or set(row) != {alias} for row in rows):
                raise invalid(
                    f"Failed to process element: 0 of 'instances' list. JSON object: "
                    f"{_shown(rows[0])} keys must be equal to: {alias}"
                )
            rows = [row[alias] for row in rows]
        _fill_tensor(inputs[alias], rows, infos[alias].dtype)
        return True
    if "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    values = document["inputs"]
    for alias, info in infos.items():
        if _is_named(values) and alias not in values:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        value = values[alias] if _is_named(values) else values
        _fill_tensor(inputs[alias], value, info.dtype)
    return False


def _is_named(value):
    return isinstance(value, dict) and set(value) != {"b64"}


def _fill_tensor(proto, value, dtype):
    proto.dtype = dtype
    sizes, first = [], value
    while isinstance(first, list):
        sizes.append(len(first))
        proto.tensor_shape.dim.add(size=len(first))
        if not first:
            break
        first = first[0]
    if dtype == tf.uint8.as_datatype_enum and _fill_fast(proto, value, sizes):
        return
    add = _adder(proto, dtype)

    def fill(item, level):
        if not isinstance(item, list):
            if level != len(sizes):
                raise invalid(
                    f"JSON Value: {_shown(item)} found at incorrect level: {level + 1} in the JSON "
                    f"DOM. Expected at level: {len(sizes)}"
                )
            add(item)
            return
        if level >= len(sizes):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(sizes)}")
        if len(item) != sizes[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(item)} at level: {level} "
                f"expected size: {sizes[level]}"
            )
        for inner in item:
            fill(inner, level + 1)

    fill(value, 0)


def _fill_fast(proto, value, sizes):
    """The same for whole clips of numbers, which Python would read one by one."""
    try:
        array = np.array(value)
    except ValueError:  # ragged
        return False
    if array.dtype != np.int64 or list(array.shape) != sizes:
        return False
    proto.tensor_content = array.astype(np.uint8).tobytes()  # static_cast<uint8>
    return True


def _adder(proto, dtype):
    name = tf.dtypes.as_dtype(dtype).name

    def wrong_type(item):
        return invalid(
            f"JSON Value: {_shown(item)} Type: {type(item).__name__} is not of expected type: "
            f"{name}"
        )

    def add_string(item):
        if isinstance(item, dict):
            if set(item) != {"b64"} or not isinstance(item["b64"], str):
                raise invalid(f"JSON Value: {_shown(item)} not formatted correctly for base64 data")
            try:
                proto.string_val.append(base64.b64decode(item["b64"], validate=True))
            except (binascii.Error, ValueError):
                raise invalid("Unable to base64 decode") from None
        elif isinstance(item, str):
            proto.string_val.append(item.encode("utf-8", "surrogatepass"))
        else:
            raise wrong_type(item)

    def add_float(item):
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise wrong_type(item)
        proto.float_val.append(item)

    def add_long(item):
        if isinstance(item, bool) or not isinstance(item, int):
            raise wrong_type(item)
        proto.int64_val.append(item)

    def add_int(item):
        if isinstance(item, bool) or not isinstance(item, int) or not -(2**31) <= item < 2**31:
            raise wrong_type(item)
        proto.int_val.append(item % 256)  # static_cast<uint8>

    return {"string": add_string, "float32": add_float, "int64": add_long}.get(name, add_int)


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class StandIn:
    """Serves models on two ports of 127.0.0.1 until closed.

    Args:
        folders: {model's name: folder of its versions}.
        rest_port, grpc_port: int. 0 takes a free one.
        threads: int. TensorFlow's, a session.
    """

    def __init__(self, folders, rest_port=0, grpc_port=0, threads=None):
        servables = {
            name: {
                int(path.name): Servable(path, threads)
                for path in pathlib.Path(folder).iterdir()
                if path.name.isdecimal()
            }
            for name, folder in folders.items()
        }
        self.models = Models(servables)
        self._grpc, self.grpc_port = _grpc_server(self.models, grpc_port)
        self._rest = _HTTPServer(("127.0.0.1", rest_port), _Handler)
        self._rest.models = self.models
        self.rest_port = self._rest.server_address[1]
        self._grpc.start()
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()

    def rest(self, name):
        return f"http://127.0.0.1:{self.rest_port}/v1/models/{name}"

    def grpc(self, name):
        return f"127.0.0.1:{self.grpc_port}/{name}"

    def close(self):
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(None).wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path, help="folder of versions; its name is served")
    parser.add_argument("--rest-port", type=int, default=8501)
    parser.add_argument("--grpc-port", type=int, default=8500)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    server = StandIn(
        {options.folder.name: options.folder},
        options.rest_port,
        options.grpc_port,
        options.threads,
    )
    print(json.dumps({"rest": server.rest_port, "grpc": server.grpc_port}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()

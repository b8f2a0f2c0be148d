"""Malformed requests, drawn from a seed, for the tests and the benchmark."""

import base64
import http.client
import io
import itertools
import json

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def malformed(spec, count, seed):
    """Gives (what is wrong, signature, {input: array}) of requests to a model of that ClipSpec."""
    rng = np.random.default_rng(seed)
    kinds = list(_KINDS)
    for number in range(count):
        what = kinds[number % len(kinds)]
        yield (what, *_KINDS[what](rng, spec))


def sent(rest_port, grpc_port, spec, count, seed):
    """Sends requests to the model `t3d`; gives (what is wrong, code, message) of each answer.

    By REST to the half of them; an answer that is no refusal has the code 200 or "OK".
    """
    bodies = _bodies(spec, seed)
    connection = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=60)
    for what, body in itertools.islice(bodies, count // 2):
        connection.request("POST", "/v1/models/t3d:predict", body)
        response = connection.getresponse()
        yield what, response.status, response.read().decode()
    connection.close()
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        for what, request in itertools.islice(_requests(spec, seed), count - count // 2):
            try:
                predict(request, timeout=60)
                yield what, "OK", ""
            except grpc.RpcError as error:
                yield what, error.code().name, error.details()


def _bodies(spec, seed):
    broken = malformed_bodies(seed)
    for what, signature, inputs in malformed(spec, 10**9, seed):
        # JSON has one kind of whole number and leaves out what the signature does not name.
        if what not in ("wrong type", "one input too many"):
            yield what, as_json(signature, inputs)
        yield "body", next(broken)


def _requests(spec, seed):
    broken = malformed_tensors(seed)
    for number, (what, signature, inputs) in enumerate(malformed(spec, 10**9, seed)):
        yield what, as_request("t3d", signature, inputs)
        if number % 4 == 0:
            yield "tensor", next(broken)


def as_request(model, signature, inputs):
    """The same as a PredictRequest."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array, shape=array.shape))
    return request


def as_json(signature, inputs):
    """The same as the body of a REST request."""
    values = {name: _json_value(array.tolist()) for name, array in inputs.items()}
    return json.dumps({"signature_name": signature, "inputs": values}).encode()


def malformed_tensors(seed):
    """Gives PredictRequests whose tensors are broken themselves, which gRPC lets through."""
    rng = np.random.default_rng(seed)
    request = as_request("t3d", "views", {"clips": np.zeros((1, 2, 2, 2, 3), np.uint8)})
    while True:
        broken = predict_pb2.PredictRequest()
        broken.CopyFrom(request)
        tensor = broken.inputs["clips"]
        kind = rng.integers(4)
        if kind == 0:  # claims more than it holds
            tensor.tensor_shape.dim[1].size = int(rng.integers(3, 2**40))
        elif kind == 1:
            tensor.tensor_shape.dim[int(rng.integers(5))].size = -int(rng.integers(1, 9))
        elif kind == 2:
            tensor.tensor_content = rng.bytes(int(rng.integers(1, 24)))
        else:
            tensor.dtype = int(rng.integers(200, 2000))
        yield broken


def malformed_bodies(seed):
    """Gives bodies of REST requests that are no request at all."""
    rng = np.random.default_rng(seed)
    whole = as_json("files", {"names": np.array([b"labels.txt"], object)})
    while True:
        yield from (
            whole[: rng.integers(1, len(whole) - 1)],
            b"",
            rng.bytes(int(rng.integers(1, 200))),
            b"[" * int(rng.integers(100, 20_000)),
            b"[1, 2]",
            b"null",
            b"{}",
            b'{"inputs": [1], "instances": [1]}',
            b'{"instances": []}',
            b'{"instances": 3}',
            b'{"signature_name": 3, "instances": [1]}',
            b'{"signature_name": "none such", "instances": [1]}',
            b'{"signature_name": "serve_jpeg", "inputs": [[{"b64": "?!"}]]}',
            b'{"signature_name": "serve_jpeg", "inputs": [[{"b65": "AAAA"}]]}',
            b'{"signature_name": "serve_jpeg", "inputs": [[1, 2]]}',
            b'{"signature_name": "serve_jpeg", "inputs": [["a"], ["b", "c"]]}',
            b'{"signature_name": "views", "inputs": [[[[["a"]]]]]}',
            b'{"signature_name": "views", "inputs": [[[[[0.5, 1, 2]]]]]}',
            b'{"signature_name": "views", "inputs": [[[[[1, 2, 3], 4]]]]}',
            b'{"signature_name": "views", "inputs": {"frames": [1]}}',
            b'{"signature_name": "views", "inputs": null}',
        )


def _json_value(value):
    if isinstance(value, list):
        return [_json_value(inner) for inner in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def jpeg(frame):
    """A frame as a JPEG image."""
    return _image(frame, "JPEG")


def claiming(image, height, width):
    """The JPEG image with other sizes in its header."""
    at = image.index(b"\xff\xc0") + 5  # the frame header: length, precision, height, width
    return image[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + image[at + 4 :]


def _image(frame, kind):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, kind)
    return buffer.getvalue()


def _frame(rng):
    return rng.integers(0, 256, (int(rng.integers(24, 60)), 48, 3), np.uint8)


def _wrong_type(rng, spec):
    dtype = rng.choice([np.float32, np.float64, np.int32, np.int64, np.float16])
    signature = str(rng.choice(["views", "serving_default", "features"]))
    return signature, {"clips": np.zeros((1, *spec.input_shape), dtype)}


def _bytes_for_pixels(rng, spec):
    return "views", {"clips": np.full((1, *spec.input_shape[:1]), jpeg(_frame(rng)), object)}


def _pixels_for_bytes(rng, spec):
    return "serve_jpeg", {"frames": np.zeros((1, int(rng.integers(1, 9))), np.uint8)}


def _wrong_rank(rng, spec):
    rank = int(rng.choice([0, 1, 2, 3, 4, 6, 7]))
    signature = str(rng.choice(["views", "serving_default", "features"]))
    return signature, {"clips": np.zeros((3,) * rank, np.uint8)}


def _wrong_rank_of_frames(rng, spec):
    rank = int(rng.choice([0, 1, 3]))
    return "serve_jpeg", {"frames": np.full((2,) * rank, jpeg(_frame(rng)), object)}


def _wrong_view(rng, spec):
    shape = np.array(spec.input_shape)
    shape[rng.integers(4)] += rng.choice([-1, 1, 2])
    return "views", {"clips": np.zeros((1, *shape), np.uint8)}


def _empty(rng, spec):
    shape = [1, 8, 40, 48, 3]
    shape[rng.integers(4)] = 0
    return str(rng.choice(["serving_default", "features"])), {"clips": np.zeros(shape, np.uint8)}


def _no_frames(rng, spec):
    shape = (0, 4) if rng.integers(2) else (1, 0)
    return "serve_jpeg", {"frames": np.empty(shape, object)}


def _no_views(rng, spec):
    return "views", {"clips": np.zeros((0, *spec.input_shape), np.uint8)}


def _wrong_channels(rng, spec):
    channels = int(rng.choice([1, 2, 4, 5]))
    sizes = (spec.resize, spec.resize) if rng.integers(2) else (40, 48)
    return "serving_default", {"clips": np.zeros((1, 8, *sizes, channels), np.uint8)}


def _long_frames(rng, spec):
    return "serving_default", {"clips": np.zeros((1, 1, 1, int(rng.integers(11, 9999)), 3), "u1")}


def _frames_of(images):
    return "serve_jpeg", {"frames": np.array([images], object)}


def _no_images(rng, spec):
    return _frames_of([rng.bytes(int(rng.integers(1, 500))) for _ in range(3)])


def _empty_images(rng, spec):
    return _frames_of([b""] * int(rng.integers(1, 9)))


def _other_images(rng, spec):
    return _frames_of([_image(_frame(rng), str(rng.choice(["PNG", "GIF", "BMP"])))])


def _cut_images(rng, spec):
    image = jpeg(_frame(rng))
    return _frames_of([image[: rng.integers(3, int(0.8 * len(image)))]])


def _huge_images(rng, spec):
    claimed = (int(size) for size in rng.integers(4097, 65_500, 2))
    return _frames_of([claiming(jpeg(_frame(rng)), *claimed)] * int(rng.integers(1, 40)))


def _no_such_signature(rng, spec):
    return f"views{rng.integers(100)}", {"clips": np.zeros((1, *spec.input_shape), np.uint8)}


def _no_such_input(rng, spec):
    return "views", {f"clip{rng.integers(100)}": np.zeros((1, *spec.input_shape), np.uint8)}


def _one_input_too_many(rng, spec):
    clips = np.zeros((1, *spec.input_shape), np.uint8)
    return "views", {"clips": clips, "frames": np.array([[b""]], object)}


def _no_input(rng, spec):
    return "views", {}


def _no_such_file(rng, spec):
    name = str(rng.choice(["/etc/passwd", "", "labels.txt ", "../clip_spec.json"])).encode()
    return "files", {"names": np.array([name], object)}


_KINDS = {
    kind.__name__[1:].replace("_", " "): kind
    for kind in (
        _wrong_type,
        _bytes_for_pixels,
        _pixels_for_bytes,
        _wrong_rank,
        _wrong_rank_of_frames,
        _wrong_view,
        _empty,
        _no_frames,
        _no_views,
        _wrong_channels,
        _long_frames,
        _no_images,
        _empty_images,
        _other_images,
        _cut_images,
        _huge_images,
        _no_such_signature,
        _no_such_input,
        _one_input_too_many,
        _no_input,
        _no_such_file,
    )
}

"""`keras-t3d serve`: what it answers, what it refuses, and how it ends."""

import http.client
import io
import json
import signal
import socket
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from keras_t3d import cli
from keras_t3d.deploy import ServerOptions, ServingError, connect
from keras_t3d.deploy.serving_client import errors
from keras_t3d.deploy.serving_server.predictor_servable import PredictorServable
from keras_t3d.deploy.serving_server.status import StatusError, invalid
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import predict_video
from tests.conftest import NEEDS_SERVE, NEEDS_SERVING_API, counting_frames, write_video
from tests.deploy.networks import SPEC
from tests.deploy.server_process import started

pytest.importorskip("grpc", reason=NEEDS_SERVE)
pytest.importorskip("starlette", reason=NEEDS_SERVE)
pytestmark = pytest.mark.export

from keras_t3d.deploy.serving_server.serve import load_servable  # noqa: E402
from tests.deploy.watched_server import WatchedServer  # noqa: E402


class Brightness:
    """A predictor, and embedder, of the mean of a clip."""

    clip_spec, class_names = SPEC, ("dark", "bright")

    def probabilities(self, clips):
        bright = clips.reshape(len(clips), -1).mean(axis=1, dtype=np.float32) / 255
        return np.stack([1 - bright, bright], axis=1)

    def embeddings(self, clips):
        return clips.reshape(len(clips), -1).mean(axis=1, keepdims=True, dtype=np.float32)


@pytest.fixture(scope="module")
def bright_server():
    servable = PredictorServable(Brightness(), Brightness())
    server = WatchedServer({"b": {1: servable}}, max_request_mib=1, max_requests=2)
    yield server
    server.close()


@pytest.fixture
def bright(bright_server):
    bright_server.models.faults.clear()
    return bright_server


def clip_of(value):
    return np.full((1, *SPEC.input_shape), value, np.uint8)


def ask(server, method, path, body=None, headers=None):
    """Returns status and content of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response.status, content


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_predictor_has_the_signatures_of_a_saved_model(bright, server, protocol):
    with (
        connect(getattr(bright, protocol)("b"), grpc=protocol == "grpc") as client,
        connect(getattr(server, protocol)("t3d"), grpc=protocol == "grpc") as exported,
    ):
        ours, theirs = client.signatures, exported.signatures
        assert set(ours) == set(theirs)
        assert {n: set(s.inputs.items()) for n, s in ours.items()} == {
            n: set(s.inputs.items()) for n, s in theirs.items()
        }
        assert {n: set(s.outputs) for n, s in ours.items()} == {
            n: set(s.outputs) for n, s in theirs.items()
        }
        assert (client.class_names, client.clip_spec) == (Brightness.class_names, SPEC)
        video = np.full((1, 20, 40, 50, 3), 51, np.uint8)
        outputs = client.predict("serving_default", {"clips": video})
        np.testing.assert_allclose(outputs["probabilities"], [[0.8, 0.2]], rtol=1e-6)
        assert outputs["top_classes"].tolist() == [["dark", "bright"]]
        np.testing.assert_allclose(outputs["top_scores"], [[0.8, 0.2]], rtol=1e-6)
        embedding = client.predict("features", {"clips": video})["embedding"]
        np.testing.assert_array_equal(embedding, [[51]])


@pytest.mark.parametrize("fixture", ["model_path", "lite_path"])
def test_files_are_served_as_they_predict(request, fixture, tmp_path):
    path = request.getfixturevalue(fixture)
    video = write_video(tmp_path / "a.mp4", counting_frames(20))
    name, version, servable = load_servable(path)
    assert (name, version) == (path.stem, 1)
    assert ("features" in servable.signatures) == (path.suffix == ".keras")
    server = WatchedServer({name: {version: servable}})
    try:
        for protocol in ("rest", "grpc"):
            with connect(getattr(server, protocol)(name), grpc=protocol == "grpc") as client:
                found, expected = predict_video(client, video), predict_video(path, video)
                assert [one for one, _ in found] == [one for one, _ in expected]
                np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], 1e-5)
    finally:
        server.close()


def jpeg(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_jpeg_images_are_decoded_and_cut_as_the_view(model_path):
    _, _, servable = load_servable(model_path)
    frames = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), np.uint8)
    frames = frames.repeat(8, 1).repeat(8, 2)
    encoded = np.array([[jpeg(frame) for frame in frames]], object)
    found = servable.predict("serve_jpeg", {"frames": encoded})["probabilities"]
    plain = servable.predict("serving_default", {"clips": frames[None]})["probabilities"]
    np.testing.assert_allclose(found, plain, atol=0.05)


@pytest.mark.parametrize(
    ("signature", "name", "array", "message"),
    [
        ("views", "clips", np.zeros((1, 16, 32, 32, 3), "u1"), r"\(n, 8, 32, 32, 3\).*\[1 16 32"),
        ("views", "clips", np.zeros((1, 8, 32, 32, 3), "f4"), "must be uint8. Received: float32"),
        ("views", "clips", np.zeros((0, 8, 32, 32, 3), "u1"), "none of them 0"),
        ("serving_default", "clips", np.zeros((1, 4, 1, 99, 3), "u1"), "at most 10 times"),
        ("serve_jpeg", "frames", np.array([[b"GIF89a"]], object), "expected JPEG images"),
        ("serve_jpeg", "frames", np.array([[b"\xff\xd8\xff"]], object), "cannot be decoded"),
        ("files", "names", np.array([b"x"], object), r"labels.txt, clip_spec.json.*\['x'\]"),
    ],
)
def test_what_a_predictor_refuses(signature, name, array, message):
    with pytest.raises(StatusError, match=message) as error:
        PredictorServable(Brightness()).predict(signature, {name: array})
    assert error.value.code == "INVALID_ARGUMENT"


def test_instances_are_answered_by_row(bright):
    clips = np.concatenate([clip_of(0), clip_of(255)]).tolist()
    path = "/v1/models/b:predict"
    for rows in (clips, [{"clips": clip} for clip in clips]):
        body = json.dumps({"signature_name": "views", "instances": rows})
        status, content = ask(bright, "POST", path, body)
        predictions = json.loads(content)["predictions"]
        assert status == 200
        assert [row["top_classes"][0] for row in predictions] == ["dark", "bright"]
    body = json.dumps({"signature_name": "files", "instances": ["labels.txt"]})
    assert json.loads(ask(bright, "POST", path, body)[1]) == {"predictions": ["dark\nbright\n"]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "The document is empty"),
        ("[1]", "Is not object"),
        ("{", "JSON Parse error"),
        ('{"inputs": [], "instances": []}', "only one of 'inputs' or 'instances'"),
        ("{}", "Missing 'inputs' or 'instances'"),
        ('{"instances": {}}', "Expecting 'instances' to be an list"),
        ('{"instances": [{"x": 1}]}', "keys must be equal to: clips"),
        ('{"inputs": {"x": 1}}', "Missing named input: clips"),
        ('{"inputs": [[1], [1, 2]]}', "unexpected size: 2 at level: 1"),
        ('{"inputs": [1, [1]]}', "unexpected level: 1"),
        ('{"inputs": [[1], 1]}', "incorrect level: 2"),
        ('{"inputs": ["a"]}', "not of expected type: uint8"),
        ('{"signature_name": "files", "inputs": [1]}', "not of expected type: string"),
        ('{"signature_name": "files", "inputs": [{"b64": "?"}]}', "Unable to base64 decode"),
        ('{"signature_name": 1}', "must be a string value"),
        ('{"signature_name": "none", "inputs": []}', '"none" not found'),
    ],
)
def test_bodies_that_are_refused(bright, body, message):
    status, content = ask(bright, "POST", "/v1/models/b:predict", body)
    assert status == 400
    assert message in json.loads(content)["error"]


def test_paths(bright):
    assert ask(bright, "GET", "/healthz") == (200, "ok\n")
    status, content = ask(bright, "GET", "/v1/models/b")
    assert (status, json.loads(content)["model_version_status"][0]["state"]) == (200, "AVAILABLE")
    assert ask(bright, "GET", "/v1/models/b/versions/1/metadata")[0] == 200
    for path in ("/v1/models/b/versions/2", "/v1/models/none/metadata", "/other"):
        assert ask(bright, "GET", path)[0] == 404, path
    assert ask(bright, "GET", "/v1/models/b:predict")[0] == 400
    assert ask(bright, "POST", "/v1/models/b", "{}")[0] == 400
    assert ask(bright, "DELETE", "/v1/models/b")[0] == 405


def test_requests_above_the_limit_are_refused(bright):
    path, large = "/v1/models/b:predict", b" " * (2**20 + 1)
    assert ask(bright, "POST", path, large)[0] == 413
    pieces = iter([large[: 2**19]] * 3)
    assert ask(bright, "POST", path, pieces)[0] == 413
    with connect(bright.grpc("b"), grpc=True, attempts=1) as client, pytest.raises(ServingError):
        client.predict("serving_default", {"clips": np.zeros((1, 1, 512, 1024, 3), np.uint8)})
    assert ask(bright, "GET", "/healthz")[0] == 200


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_too_many_requests_at_once_are_refused_and_tried_again(bright, protocol):
    goes_on, arrived = threading.Event(), threading.Semaphore(0)

    def wait():
        arrived.release()
        goes_on.wait(60)

    bright.models.faults += [wait, wait]
    address = getattr(bright, protocol)("b")
    found = []

    def predict():
        with connect(address, grpc=protocol == "grpc") as client:
            found.append(client.predict("views", {"clips": clip_of(255)})["probabilities"][0, 1])

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert arrived.acquire(timeout=30)
    with (
        connect(address, grpc=protocol == "grpc", attempts=1) as client,
        pytest.raises(errors.BusyError, match="2 requests run already"),
    ):
        client.predict("views", {"clips": clip_of(255)})
    goes_on.set()
    for thread in threads:
        thread.join()
    assert found == [1, 1]


def test_metrics(bright):
    with connect(bright.grpc("b"), grpc=True) as client:
        client.predict("views", {"clips": clip_of(0)})
    bright.models.faults.append(invalid("for a reason"))
    assert ask(bright, "GET", "/v1/models/b/metadata")[0] == 400
    status, text = ask(bright, "GET", "/monitoring/prometheus/metrics")
    assert status == 200
    counter = "keras_t3d_serving_requests_total"
    assert f'{counter}{{code="OK",method="Predict",protocol="grpc"}}' in text
    refused = 'code="INVALID_ARGUMENT",method="GetModelMetadata",protocol="rest"'
    assert f"{counter}{{{refused}}} 1.0" in text
    assert "keras_t3d_serving_request_seconds_bucket" in text
    assert "keras_t3d_serving_running_requests 0.0" in text


def test_errors_of_the_server_are_told(bright, capfd):
    def fail():
        raise RuntimeError("out of order")

    for protocol in ("rest", "grpc"):
        bright.models.faults.append(fail)
        with (
            connect(getattr(bright, protocol)("b"), grpc=protocol == "grpc") as client,
            pytest.raises(errors.ServerFailedError, match="RuntimeError: out of order"),
        ):
            client.predict("views", {"clips": clip_of(0)})
    assert capfd.readouterr().err.count("Traceback") == 2


def test_tensorflow_reads_the_answers(bright):
    pytest.importorskip("tensorflow_serving.apis", reason=NEEDS_SERVING_API)
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    with grpc.insecure_channel(f"127.0.0.1:{bright.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "b", "views"
        request.inputs["clips"].CopyFrom(tf.make_tensor_proto(clip_of(255)))
        response = stub.Predict(request)
        assert response.model_spec.version.value == 1
        assert tf.make_ndarray(response.outputs["top_classes"]).tolist() == [[b"bright", b"dark"]]
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "b"
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert stub.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
        views = signatures.signature_def["views"]
        assert views.method_name == "tensorflow/serving/predict"
        assert [dim.size for dim in views.inputs["clips"].tensor_shape.dim] == [
            -1,
            *SPEC.input_shape,
        ]
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "b"
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request)
        assert status.model_version_status[0].state == 30


def test_a_port_that_is_taken(bright):
    from keras_t3d.deploy.serving_server.server import ModelServer

    for ports in ({"rest_port": bright.rest_port}, {"grpc_port": bright.grpc_port}):
        options = ServerOptions(**{"rest_port": 0, "grpc_port": 0, **ports})
        with pytest.raises(InvalidArgumentError, match=f"`{next(iter(ports))}`.*free port"):
            ModelServer(bright.models, options)


@pytest.mark.parametrize(
    "options", [{"rest_port": -1}, {"name": "a/b"}, {"max_request_mib": 2048}, {"max_requests": 0}]
)
def test_options_out_of_range(options):
    with pytest.raises(InvalidArgumentError, match=f"`{next(iter(options))}`"):
        ServerOptions(**options)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(lite_path, number):
    with started(lite_path) as server:
        first, *_, production = server["lines"]
        assert first.startswith(f"Serving t3d of {lite_path}")
        assert "docker run" in production
        assert f"after keras-t3d export saved-model {lite_path} t3d" in production
        with connect(f"127.0.0.1:{server['grpc']}/t3d", grpc=True) as client:
            assert client.status()[0].state == "AVAILABLE"
        process = server["process"]
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stdout.read() == "Stopped.\n"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", server["rest"])) != 0


def test_missing_packages_are_told_before_the_model_is_read(lite_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "keras_t3d.deploy.serving_server.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve", str(lite_path)]) == 1
    assert 'pip install "keras-t3d[serve]"' in capsys.readouterr().err


def test_a_model_that_is_not_one(tmp_path, capsys):
    assert cli.main(["serve", str(tmp_path / "none.tflite")]) == 1
    assert "No such model" in capsys.readouterr().err

"""The client against the server of `keras-t3d serve`, with both protocols."""

import base64
import contextlib
import dataclasses
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
from concurrent import futures
from xml.sax.saxutils import quoteattr

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

from keras_t3d import cli
from keras_t3d.artifact_files import artifact_texts
from keras_t3d.clips import take_view
from keras_t3d.deploy import ServingError, connect, query
from keras_t3d.deploy.serving_client import errors, rest_client, video_query
from keras_t3d.deploy.serving_client.address import grpc_address, rest_address
from keras_t3d.deploy.serving_client.client import ServingClient, VersionStatus
from keras_t3d.deploy.serving_client.deadline import Deadline, with_retries
from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec, checked_inputs
from keras_t3d.deploy.serving_server.status import StatusError
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import load_predictor, predict_video
from tests.conftest import write_video
from tests.deploy.networks import NAMES, SPEC
from tests.threads import in_threads

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """40 frames of noise that moves."""
    noise = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(noise, 2 * index, axis=1) for index in range(40)])
    return write_video(tmp_path_factory.mktemp("video") / "moving.mp4", frames)


@pytest.fixture(scope="module")
def in_keras(model):
    """The Keras model as a predictor."""
    return load_predictor(model)


@pytest.fixture(params=["rest", "grpc"])
def protocol(request):
    return request.param


@pytest.fixture
def client(server, protocol):
    with connected(server, protocol) as client:
        yield client


def connected(server, protocol, name="t3d", **options):
    address = getattr(server, protocol)(name)
    return connect(address, grpc=protocol == "grpc", **options)


def test_steps_of_a_model_that_is_no_stream(server, protocol, video, capsys):
    flags = ["--grpc"] * (protocol == "grpc")
    address = getattr(server, protocol)("t3d")
    assert cli.main(["query", address, str(video), "--windows", *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "must serve a stream" in line
    assert line.endswith("features, files, serve_jpeg, serving_default, views")


# What it says.


def test_client_returns_status_signatures_and_class_names(client):
    assert client.clip_spec == SPEC
    assert client.class_names == NAMES
    assert client.status() == [VersionStatus(1, "AVAILABLE", "")]
    assert client.signatures["views"] == Signature(
        inputs={"clips": TensorSpec("uint8", (None, *SPEC.input_shape))},
        outputs={
            "probabilities": TensorSpec("float32", (None, 6)),
            "top_classes": TensorSpec("string", (None, 5)),
            "top_scores": TensorSpec("float32", (None, 5)),
        },
    )


def test_client_is_a_predictor(client, in_keras, video):
    expected = predict_video(in_keras, video)
    answer = predict_video(client, video)
    assert [name for name, _ in answer] == [name for name, _ in expected]
    np.testing.assert_allclose([p for _, p in answer], [p for _, p in expected], atol=1e-5)


def test_four_threads_share_a_client(server, protocol, in_keras, clips):
    """The first requests, for class names and ClipSpec, are made by all at once."""
    expected, wrong = in_keras.probabilities(clips), []

    with connected(server, protocol) as client:

        def ask(thread):
            for number in range(10):
                n = (thread + number) % len(clips)
                found = client.probabilities(clips[n : n + 1])
                if not np.abs(found - expected[n]).max() < 1e-5:
                    wrong.append(found)
                if thread == 0:
                    client.forget()

        assert in_threads(ask) == []
    assert wrong == []


def test_query_returns_what_predict_video_returns(client, in_keras, video):
    for views in (None, 1, 3):
        expected = predict_video(in_keras, video, 6, views)
        answer = query(client, video, 6, views)
        assert [name for name, _ in answer] == [name for name, _ in expected]
        np.testing.assert_allclose([p for _, p in answer], [p for _, p in expected], atol=1e-5)


def test_jpeg_changes_probabilities_slightly(client, video):
    exact = dict(query(client, video, 6))
    compressed = query(client, video, 6, jpeg=True)
    assert dict(compressed) != exact  # a loss there is
    for name, probability in compressed:
        assert probability == pytest.approx(exact[name], abs=0.05)


def test_both_protocols_return_the_same_bits(server, clips):
    answers = []
    for protocol in ("rest", "grpc"):
        with connected(server, protocol) as client:
            answers.append(client.predict("views", {"clips": clips}))
    rest, grpc = answers
    assert rest["probabilities"].dtype == grpc["probabilities"].dtype == np.float32
    for name, array in grpc.items():
        np.testing.assert_array_equal(rest[name], array)
    assert rest["top_classes"].shape == (3, 5)
    assert set(rest["top_classes"].ravel()) <= set(NAMES)


def test_single_output_has_its_name(client, clips):
    video = np.zeros((1, 20, 40, 50, 3), np.uint8)
    answer = client.predict("features", {"clips": video})
    assert list(answer) == ["embedding"]
    assert answer["embedding"].dtype == np.float32


def test_views_are_sent_in_batches(server, client, clips):
    many = np.concatenate([clips, clips[::-1], clips])
    together = client.probabilities(many)  # 9, and what its clips are
    assert len([method for method, _ in server.models.requests if method == "Predict"]) == 3 + 1
    assert together.shape == (9, 6)
    np.testing.assert_allclose(together[:3], together[6:], atol=1e-6)
    np.testing.assert_allclose(together[3:6], together[2::-1], atol=1e-6)


def test_message_above_default_grpc_limit(server):
    frames = np.random.default_rng(0).integers(0, 256, (1, 30, 240, 320, 3), np.uint8)
    assert frames.nbytes > 4 * 2**20
    with connected(server, "grpc") as client:
        answer = client.predict("serving_default", {"clips": frames})
        clip = take_view(frames[0], SPEC)
        np.testing.assert_array_equal(
            answer["probabilities"], client.predict("views", {"clips": clip[None]})["probabilities"]
        )


def test_address_with_version(server, protocol, clips):
    with connected(server, protocol, "t3d/versions/1") as client:
        assert client.probabilities(clips).shape == (3, 6)
    with (
        connected(server, protocol, "t3d/versions/7") as client,
        pytest.raises(errors.ModelNotFoundError, match=r"Received: .*Specific\(t3d, 7\)"),
    ):
        client.probabilities(clips)


# A model that does not say what its clips are.


@pytest.fixture
def silent(client, monkeypatch):
    known = {name: s for name, s in client.signatures.items() if name != "files"}
    monkeypatch.setattr(client, "_signatures", lambda deadline: known)
    client.forget()
    yield client
    client.forget()


@pytest.mark.parametrize("jpeg", [False, True])
def test_model_without_files_takes_the_centre_view(silent, in_keras, video, jpeg):
    expected = dict(predict_video(in_keras, video, 6, num_views=1))
    answer = query(silent, video, top=3, jpeg=jpeg)
    assert len(answer) == 3
    for name, probability in answer:
        assert probability == pytest.approx(expected[name], abs=0.05 if jpeg else 1e-5)


@pytest.mark.parametrize("jpeg", [False, True])
def test_decoding_stops_at_the_size_limit(silent, video, monkeypatch, jpeg):
    frames = []

    class Counted(video_query.VideoReader):
        def __iter__(self):
            for frame in super().__iter__():
                frames.append(frame)
                yield frame

    monkeypatch.setattr(video_query, "VideoReader", Counted)
    most = 10 * (4000 if jpeg else silent.sent_bytes(np.zeros((48, 64, 3), np.uint8)))
    monkeypatch.setattr("keras_t3d.deploy.serving_client.client.MOST_BYTES", 2**20 + most)
    with pytest.raises(errors.RequestTooLargeError, match="GiB"):
        query(silent, video, jpeg=jpeg)
    assert len(frames) < 35 if jpeg else len(frames) == 11


@pytest.mark.parametrize("jpeg", [False, True])
def test_views_of_a_model_without_files_need_a_clip_spec(silent, in_keras, video, report, jpeg):
    with pytest.raises(InvalidArgumentError, match=r"`num_views`.*`clip_spec`.*Received: 3"):
        query(silent, video, num_views=3, jpeg=jpeg)
    expected = [p for _, p in predict_video(in_keras, video, 6, num_views=3)]
    extra = report.path / "assets.extra" / "clip_spec.json"
    for spec in (SPEC, report.path, report.path.parent, str(extra)):
        answer = query(silent, video, 6, num_views=3, jpeg=jpeg, clip_spec=spec)
        named = spec in (report.path, report.path.parent)
        assert {name for name, _ in answer} == set(NAMES if named else "012345")
        np.testing.assert_allclose([p for _, p in answer], expected, atol=0.05 if jpeg else 1e-5)
    with pytest.raises(ServingError, match=r"`clip_spec`.*Received: signatures"):
        silent.clip_spec  # noqa: B018


def test_clip_spec_of_an_openvino_directory(silent, in_keras, video, tmp_path):
    texts = artifact_texts(NAMES, SPEC)
    entries = "".join(f"<{name} value={quoteattr(text)} />" for name, text in texts.items())
    (tmp_path / "1").mkdir()
    content = f"<net><rt_info><keras_t3d>{entries}</keras_t3d></rt_info></net>"
    (tmp_path / "1" / "model.xml").write_text(content, encoding="utf-8")
    expected = predict_video(in_keras, video, 6, num_views=3)
    answer = query(silent, video, 6, num_views=3, clip_spec=tmp_path)
    assert dict(answer) == pytest.approx(dict(expected), abs=1e-5)


def test_clip_spec_of_another_model(silent, video, report, tmp_path):
    (tmp_path / "saved_model.pb").touch()
    shutil.copytree(report.path / "assets.extra", tmp_path / "assets.extra")
    (tmp_path / "assets.extra" / "labels.txt").write_text("one\n")
    with pytest.raises(InvalidArgumentError, match=r"`clip_spec`.*1 classes.*6"):
        query(silent, video, clip_spec=tmp_path)


def test_invalid_clip_spec_file(client, video, tmp_path):
    (tmp_path / "clip_spec.json").write_text('{"frames": 3}')
    for path in (tmp_path / "clip_spec.json", tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidArgumentError, match=r"`clip_spec`.*Received: "):
            query(client, video, clip_spec=path)


# What can go wrong, each with its error.


def test_invalid_addresses():
    for text in ("localhost:8500/t3d", "http://h:1/v2/models/a", "http://h:1/v1/models/", "", "x"):
        with pytest.raises(
            InvalidArgumentError, match=r"`address`.*http://localhost:8501/v1/models/t3d"
        ):
            connect(text)
    for text in ("http://localhost:8501/v1/models/t3d", "localhost/t3d", "localhost:8500", "h:1/"):
        with pytest.raises(InvalidArgumentError, match=r"`address`.*localhost:8500/t3d"):
            connect(text, grpc=True)
    for text, grpc in (("http://localhost:85010/v1/models/t3d", False), ("h:85000/t3d", True)):
        with pytest.raises(InvalidArgumentError, match=r"`address`.*Received: "):
            connect(text, grpc)


@pytest.mark.parametrize(
    ("text", "grpc"),
    [
        ("http://me:secret@h:8501/v1/models/t3d", False),
        ("https://me:sec/ret@h/v1/models/t3d", False),
        ("http://me:secret@h:8501/v2/models/t3d", False),
        ("me:secret@h:8500/t3d", True),
        ("secret@h:8500/t3d", True),
    ],
)
def test_credentials_are_rejected_and_not_shown(text, grpc):
    with pytest.raises(InvalidArgumentError, match=r"`address`.*Received: \.\.\.@h") as error:
        connect(text, grpc)
    assert "sec" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", float("inf")),
        ("timeout", float("nan")),
        ("timeout", 1e9),
        ("attempts", 0),
        ("batch_size", 0),
    ],
)
def test_options_out_of_range(name, value):
    with pytest.raises(InvalidArgumentError, match=f"`{name}`.*Received: {value}"):
        connect("http://h:1/v1/models/a", **{name: value})


def test_query_passes_the_timeout(video):
    with pytest.raises(InvalidArgumentError, match=r"`timeout`.*Received: -1"):
        query("http://h:1/v1/models/a", video, timeout=-1)


def test_addresses():
    assert dataclasses.astuple(rest_address("https://h/v1/models/a%20b/labels/x/"))[1:] == (
        "https://h",
        "a b",
        None,
        "x",
    )
    assert rest_address("http://h:1/v1/models/a@b").model == "a@b"
    address = grpc_address("[::1]:8500/t3d/versions/12")
    assert (address.server, address.model, address.version) == ("[::1]:8500", "t3d", 12)
    assert address.path == "/v1/models/t3d/versions/12"


def test_no_server(protocol, no_waiting):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    address = f"{address}/t3d" if protocol == "grpc" else f"http://{address}/v1/models/t3d"
    with (
        connect(address, protocol == "grpc") as client,
        pytest.raises(errors.UnreachableError, match=r"Address: .*:\d+/"),
    ):
        client.status()
    assert len(no_waiting) == 4  # five attempts


def test_port_of_the_other_protocol(server, no_waiting):
    wrong_rest = f"http://127.0.0.1:{server.grpc_port}/v1/models/t3d"
    wrong_grpc = f"127.0.0.1:{server.rest_port}/t3d"
    for address, grpc in ((wrong_rest, False), (wrong_grpc, True)):
        with (
            connect(address, grpc) as client,
            pytest.raises(errors.NotTFServingError, match=r"8501.*8500"),
        ):
            client.status()
    assert no_waiting == []


def test_no_such_model(server, protocol, clips, no_waiting):
    with (
        connected(server, protocol, "t4d") as client,
        pytest.raises(errors.ModelNotFoundError, match=r"Latest\(t4d\)"),
    ):
        client.predict("views", {"clips": clips})
    assert no_waiting == []


def test_model_that_is_not_ready(server, protocol, clips):
    server.models.states = {
        "young": [VersionStatus(3, "LOADING", "")],
        "broken": [VersionStatus(1, "END", "Op type not registered 'Foo'")],
    }
    for name, message in (
        ("young", "still loading version 3"),
        ("broken", "could not load version 1.*Received: Op type not registered 'Foo'"),
    ):
        with (
            connected(server, protocol, name) as client,
            pytest.raises(errors.ModelNotReadyError, match=message),
        ):
            client.predict("views", {"clips": clips})


def test_a_wrong_shape(client, clips, no_waiting):
    with pytest.raises(InvalidArgumentError, match=r"`clips`.*Received: .*\(3, 4, 32, 32, 3\)"):
        client.probabilities(clips[:, :4])
    with pytest.raises(errors.RefusedRequestError) as error:
        client.predict("views", {"clips": clips[:, :4]})
    assert "Address: " in str(error.value)
    assert str(error.value).endswith(
        "Received: views: expected `clips` of shape (clips, 8, 32, 32, 3), uint8. Received: "
        "[3 4 32 32 3]"
    )
    assert no_waiting == []  # it would be refused again


def test_requests_that_the_model_rejects(client):
    with pytest.raises(errors.RefusedRequestError, match=r"expected JPEG images"):
        client.predict("serve_jpeg", {"frames": np.array([[b"no image"]], object)})
    with pytest.raises(errors.RefusedRequestError, match=r"\"nothing\" not found"):
        client.predict("nothing", {"frames": np.array([[b"no image"]], object)})


def test_requests_to_busy_servers_are_retried(server, client, clips, no_waiting):
    full = "The batch scheduling queue to which this task was submitted is full"
    expected = client.probabilities(clips)
    server.models.faults += [StatusError("UNAVAILABLE", full)] * 2
    server.models.faults.append(StatusError("RESOURCE_EXHAUSTED", "OOM"))
    np.testing.assert_array_equal(client.probabilities(clips), expected)
    assert len(no_waiting) == 3
    for half, wait in zip((0.1, 0.2, 0.4), no_waiting, strict=True):
        assert half <= wait <= 2 * half
    server.models.faults += [StatusError("UNAVAILABLE", full)] * 5
    with pytest.raises(errors.BusyError, match=f"Received: {full}"):
        client.probabilities(clips)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PERMISSION_DENIED", errors.AccessError),
        ("UNAUTHENTICATED", errors.AccessError),
        ("INTERNAL", errors.ServerFailedError),
        ("DEADLINE_EXCEEDED", errors.TimedOutError),
    ],
)
def test_failures_that_are_not_retried(server, client, clips, no_waiting, code, kind):
    server.models.faults.append(StatusError(code, "for a reason"))
    with pytest.raises(kind, match="Received: for a reason"):
        client.predict("views", {"clips": clips})
    assert no_waiting == []


def test_server_that_does_not_respond_in_time(server, protocol, clips):
    goes_on, ended = threading.Event(), []
    server.models.faults.append(lambda: ended.append(goes_on.wait(60)))
    with (
        connected(server, protocol, timeout=0.3) as client,
        pytest.raises(errors.TimedOutError, match="`timeout`"),
    ):
        client.predict("views", {"clips": clips})
    assert ended == []  # it did not wait for the answer
    goes_on.set()


def test_status_of_a_missing_model_shares_the_deadline():
    deadlines = []

    class Client(ServingClient):
        def sent_bytes(self, array):
            return 0

        def _predict(self, signature, inputs, deadline):
            deadlines.append(deadline)
            raise errors.Failure("NOT_FOUND", "no such model")

        def _status(self, deadline):
            deadlines.append(deadline)
            raise errors.Failure("DEADLINE_EXCEEDED", "")

    with pytest.raises(errors.ModelNotFoundError):
        Client(grpc_address("h:1/t3d"), 60, 5, 4).predict("views", {})
    first, second = deadlines
    assert first is second


def test_metadata_request_for_the_output_name_shares_the_deadline(monkeypatch):
    deadlines = []
    outputs = {"p": {"dtype": "DT_FLOAT", "tensor_shape": {}}}
    signatures = {"signature_def": {"signature_def": {"s": {"inputs": {}, "outputs": outputs}}}}

    def exchange(server, method, path, body, deadline):
        deadlines.append(deadline)
        answer = {"outputs": [[1.0]]} if method == "POST" else {"metadata": signatures}
        return 200, json.dumps(answer).encode()

    monkeypatch.setattr(rest_client, "exchange", exchange)
    answer = connect("http://h:1/v1/models/t3d").predict("s", {})
    np.testing.assert_array_equal(answer["p"], [[1.0]])
    first, second = deadlines
    assert first is second


def test_metadata_of_openvino_model_server(monkeypatch):
    """It writes JSON's names of fields where TF Serving writes protobuf's."""
    clips = {"dtype": "DT_UINT8", "tensorShape": {"dim": [{"size": "-1"}, {"size": "3"}]}}
    signatures = {"serving_default": {"inputs": {"clips": clips}, "outputs": {}}}
    metadata = {"metadata": {"signature_def": {"signatureDef": signatures}}}
    answer = 200, json.dumps(metadata).encode()
    monkeypatch.setattr(rest_client, "exchange", lambda *arguments: answer)
    found = connect("http://h:1/v1/models/t3d").signatures
    assert found == {"serving_default": Signature({"clips": TensorSpec("uint8", (None, 3))}, {})}


def test_a_request_too_large(server, client, monkeypatch, clips):
    monkeypatch.setattr("keras_t3d.deploy.serving_client.client.MOST_BYTES", 2**20 + 1000)
    too_much = {"clips": clips}, {"frames": np.array([[bytes(500), bytes(501)]], object)}
    for inputs in too_much:
        with pytest.raises(errors.RequestTooLargeError, match=r"`jpeg`.*GiB"):
            client.predict("views", inputs)
    assert server.models.requests == []


# What is sent.


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((1, 2)), r"'clips', float64 of shape \(1, 2\)"),
        (np.zeros(2, ">f4"), r">f4"),
        (np.zeros(2, np.int32), "int32"),
        (np.array([None]), r"'clips', objects of <class 'NoneType'>"),
        (np.array([3, b"a"], object), "objects of <class 'int'>"),
        ([[1], [1, 2]], r"'clips', list \(.*inhomogeneous"),
        (None, "NoneType"),
        ({}, "dict"),
        ([0.5], "float64"),
    ],
)
def test_unsupported_arrays_are_rejected(server, client, array, received):
    with pytest.raises(InvalidArgumentError, match=f"(?s)`inputs`.*Received: .*{received}"):
        client.predict("views", {"clips": array})
    assert server.models.requests == []


def test_inputs_without_names(client, clips):
    for inputs in (clips, {3: clips}):
        with pytest.raises(InvalidArgumentError, match=r"`inputs`.*Received: "):
            client.predict("views", inputs)


@pytest.mark.parametrize(
    "names",
    [
        ["labels.txt"],
        [b"labels.txt"],
        np.array([b"labels.txt"]),
        np.array(["labels.txt"]),
        np.array(["labels.txt"], object),
        np.array([np.bytes_(b"labels.txt")], object),
    ],
)
def test_bytes_and_strings_are_sent_as_bytes(client, names):
    (contents,) = client.predict("files", {"names": names})["contents"]
    assert contents.splitlines() == list(NAMES)


def test_lists_of_numbers_are_sent_as_numpy_reads_them(server, clips):
    with connected(server, "rest") as client:  # whose numbers have no type
        answer = client.predict("views", {"clips": clips.tolist()})
        expected = client.predict("views", {"clips": clips})
    np.testing.assert_array_equal(answer["probabilities"], expected["probabilities"])


@hypothesis.given(strategies.lists(strategies.binary(max_size=9), min_size=1, max_size=5))
def test_trailing_zero_bytes_are_kept(values):
    """NumPy's own arrays of bytes drop zeros at the end."""
    assert checked_inputs({"frames": values})["frames"].tolist() == values
    nested = checked_inputs({"frames": [values, values]})["frames"]
    assert nested.shape == (2, len(values))


@hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    arrays.arrays(
        strategies.sampled_from([np.uint8, np.float32, np.int64]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    strategies.lists(strategies.binary(max_size=40), min_size=1, max_size=4),
)
def test_json_is_written_in_pieces(monkeypatch, numbers, values):
    """As at once, however small the pieces; and no longer than was reckoned."""
    monkeypatch.setattr(rest_client, "_PIECE", 20)
    inputs = checked_inputs({"a": numbers, "b": values, "c": [values]})
    pieces = list(rest_client._body("views", inputs))
    in_base64 = [{"b64": base64.b64encode(value).decode()} for value in values]
    assert json.loads(b"".join(pieces)) == {
        "signature_name": "views",
        "inputs": {"a": numbers.tolist(), "b": in_base64, "c": [in_base64]},
    }


def test_sizes_of_requests(server):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 32, 32, 3), np.uint8)
    images = np.array([[bytes(1000)] * 20], object)
    with connected(server, "rest") as client:
        for array in (pixels, images):
            written = sum(map(len, rest_client._body("views", {"clips": array})))
            assert written == pytest.approx(client.sent_bytes(array), rel=0.2)
    with connected(server, "grpc") as client:
        assert client.sent_bytes(pixels) == pixels.size
        assert client.sent_bytes(images) == 20_000


def test_size_limit_of_a_proxy(clips, no_waiting):
    """Of a gRPC server that did not raise its own."""
    import grpc

    server = grpc.server(
        futures.ThreadPoolExecutor(1),
        options=[("grpc.max_receive_message_length", 1000)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.add_generic_rpc_handlers((_Anything(),))
    server.start()
    try:
        with (
            connect(f"127.0.0.1:{port}/t3d", grpc=True) as client,
            pytest.raises(errors.RequestTooLargeError, match="larger than max"),
        ):
            client.predict("views", {"clips": clips})
        with (
            pytest.raises(errors.NotTFServingError),
            connect(f"127.0.0.1:{port}/t3d", grpc=True) as client,
        ):
            client.status()
    finally:
        server.stop(None)
    assert no_waiting == []


class _Anything:
    """A gRPC service that knows one method."""

    def service(self, call):
        import grpc

        if call.method.endswith("/Predict"):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        return None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, "<html>nothing here</html>", errors.NotTFServingError),
        (200, "<html>hello</html>", errors.NotTFServingError),
        (200, '{"predictions": []}', errors.NotTFServingError),
        (200, '{"model_version_status": [{"version": "one"}]}', errors.NotTFServingError),
        (413, "<html>too large</html>", errors.RequestTooLargeError),
        (503, "<html>starting</html>", errors.BusyError),
        (401, "", errors.AccessError),
        (500, '{"error": "it broke"}', errors.ServerFailedError),
    ],
)
def test_responses_of_proxies(status, body, kind, no_waiting):
    with answering(status, body) as address, pytest.raises(kind, match="Address: http"):
        connect(address).status()
    assert len(no_waiting) == (4 if status == 503 else 0)


@pytest.mark.parametrize(
    "outputs",
    [
        {"probabilities": [[0.5, 0.5], [1.0]]},
        {"probabilities": [[None]]},
        {"probabilities": {"b64": ""}},
    ],
)
def test_outputs_that_are_not_arrays(outputs, clips, no_waiting):
    with (
        answering(200, json.dumps({"outputs": outputs})) as address,
        pytest.raises(errors.NotTFServingError, match="JSON"),
    ):
        connect(address).predict("views", {"clips": clips})
    assert no_waiting == []


@pytest.mark.parametrize("status", [301, 308])
def test_redirects_are_reported(status, no_waiting):
    with (
        answering(status, "<html>", {"Location": "https://other/v1"}) as address,
        pytest.raises(errors.NotTFServingError, match=f"HTTP {status}.*https://other/v1"),
    ):
        connect(address).status()
    assert no_waiting == []


def test_server_with_another_version(server, protocol, clips, video, monkeypatch):
    with connected(server, protocol) as client:
        names, spec = client.class_names, client.clip_spec
        monkeypatch.setattr(client, "_files", (names[:-1], spec))
        with pytest.raises(ServingError, match="Received: 6 classes, 5 before"):
            client.probabilities(clips)
        assert {name for name, _ in query(client, video, 6)} == set(names)  # it asks anew
        client.probabilities(clips)


def test_response_nested_too_deeply(no_waiting):
    with answering(200, "[" * 100_000) as address, pytest.raises(errors.NotTFServingError):
        connect(address).status()


@pytest.mark.parametrize("outputs", [{"p": [[1.0]]}, {"probabilities": [["a"]]}])
def test_a_model_without_probabilities(outputs, clips):
    with (
        answering(200, json.dumps({"outputs": outputs})) as address,
        pytest.raises(ServingError, match=r"`probabilities`.*Received: {"),
    ):
        connect(address).in_batches("views", "clips", clips)


@contextlib.contextmanager
def answering(status, body, headers=None):
    """Gives the address of a server that says the same to everybody."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/models/t3d"
        server.shutdown()


def test_retries_end_at_the_deadline():
    waits = []

    def attempt(deadline):
        assert deadline.left() <= 1
        raise errors.Failure("UNAVAILABLE", "full")

    with pytest.raises(errors.Failure, match="full"):
        with_retries(attempt, Deadline(1), attempts=100, sleep=waits.append)
    assert len(waits) < 10  # none that would end after the time


# The command.


def test_command(server, protocol, in_keras, video, capsys):
    words = ["query", getattr(server, protocol)("t3d"), str(video), "--json", "--top", "2"]
    assert cli.main([*words, *(["--grpc"] if protocol == "grpc" else [])]) == 0
    line = json.loads(capsys.readouterr().out)
    expected = predict_video(in_keras, video, 2)
    assert line["video"] == str(video)
    assert [one["class"] for one in line["classes"]] == [name for name, _ in expected]
    for one, (_, probability) in zip(line["classes"], expected, strict=True):
        assert one["probability"] == pytest.approx(probability, abs=1e-5)


def test_command_options(server, video, report, capsys):
    words = ["query", server.rest("t3d"), str(video), "--jpeg", "--views", "2", "--timeout", "30"]
    assert cli.main([*words, "--spec", str(report.path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(video)
    assert len(out) == 6


def test_command_prints_errors_in_one_line(server, video, capsys):
    assert cli.main(["query", server.rest("none"), str(video)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("keras-t3d: error: The server has no such model")
    assert cli.main(["query", server.rest("t3d"), "no-such.mp4"]) == 1
    assert "No such file" in capsys.readouterr().err


def test_command_takes_folders_and_lists_of_parts(server, video, tmp_path, capsys):
    table = tmp_path / "parts.csv"
    table.write_text(f"path,start,end\n{video},0,0.8\n{video},0.8,1.6\n")
    words = ["query", server.rest("t3d"), str(video.parent), str(table), "--json", "--top", "1"]
    assert cli.main(words) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["video"] for one in found] == [
        f"{video}{part}" for part in ("", "@0-0.8", "@0.8-1.6")
    ]
    wrong = tmp_path / "no-video.mp4"
    wrong.write_text("none")
    assert cli.main(["query", server.rest("t3d"), str(wrong), str(video)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == str(video)
    assert "1 of 2 videos could not be read" in err


@pytest.mark.process
def test_client_imports_no_tensorflow(server, protocol, video):
    address, grpc = getattr(server, protocol)("t3d"), protocol == "grpc"
    script = f"""
import sys
from keras_t3d.deploy import query
print(query({address!r}, {str(video)!r}, 1, grpc={grpc}))
print([name for name in ("tensorflow", "keras", "tensorflow_serving") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_missing_grpcio(tmp_path):
    script = """
import sys
sys.modules["grpc"] = None
from keras_t3d.deploy import connect
connect("http://h:1/v1/models/t3d")
try:
    connect("h:1/t3d", grpc=True)
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 'pip install "keras-t3d[serving]"' in done.stdout

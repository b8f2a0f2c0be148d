"""Malformed requests to the C++ loader and to the server's interfaces."""

import pathlib
import re

import numpy as np
import pytest

from tests.conftest import NEEDS_SERVING_API

pytest.importorskip("tensorflow_serving.apis", reason=NEEDS_SERVING_API)

from keras_t3d.deploy import connect
from keras_t3d.deploy.serving_server.models import ModelSpec
from keras_t3d.deploy.serving_server.status import StatusError
from tests.deploy.malformed_requests import (
    _KINDS,
    claiming,
    jpeg,
    sent,
)
from tests.deploy.networks import SPEC
from tests.deploy.server_process import resident_bytes, started

pytestmark = pytest.mark.export

_REFUSED = {"INVALID_ARGUMENT", "FAILED_PRECONDITION"}


@pytest.fixture(scope="module")
def models(watched_server):
    return watched_server.models


def answer(models, signature, inputs):
    return models.predict(ModelSpec("t3d", signature=signature), inputs)[1]


def refusal(models, signature, inputs):
    with pytest.raises(StatusError) as error:
        answer(models, signature, inputs)
    assert error.value.code in _REFUSED
    return error.value.message


@pytest.mark.parametrize(
    ("signature", "name", "array", "message"),
    [
        ("views", "clips", np.zeros((1, 16, 32, 32, 3), "u1"), r"\(clips, 8, 32, 32, 3\).*\[1 16"),
        ("views", "clips", np.zeros((8, 32, 32, 3), "u1"), r"\[8,32,32,3\] is not compatible"),
        ("views", "clips", np.zeros((1, 8, 32, 32, 3), "f4"), "actual float vs. expect uint8"),
        ("serving_default", "clips", np.zeros((1, 0, 9, 9, 3), "u1"), r"none of them 0.*\[1 0 9"),
        ("serving_default", "clips", np.zeros((1, 4, 36, 36, 4), "u1"), "R, G, B last.*4"),
        ("features", "clips", np.zeros((1, 4, 1, 99, 3), "u1"), "at most 10 times the short one"),
        ("serve_jpeg", "frames", np.array([[b"GIF89a"]], object), r"expected JPEG.*\[71 73 70\]"),
        ("serve_jpeg", "frames", np.array([[b""]], object), "expected JPEG images"),
        ("serve_jpeg", "frames", np.array([b"a"], object), r"\[1\] is not compatible"),
        ("files", "names", np.array([b"x"], object), "labels.txt, clip_spec.json.*another"),
    ],
)
def test_graph_reports_the_cause(models, signature, name, array, message):
    said = refusal(models, signature, {name: array})
    assert re.search(message, said, re.DOTALL), said


def test_size_in_a_jpeg_header_is_checked(models):
    image = jpeg(np.zeros((40, 48, 3), np.uint8))
    frames = np.array([[claiming(image, 60_000, 60_000)] * 16], object)
    said = refusal(models, "serve_jpeg", {"frames": frames})
    assert "sides of 1 to 4096 pixels" in said
    assert "[60000 60000 3]" in said


def test_large_frame_within_the_limits(models):
    video = np.zeros((1, 1, 410, 4096, 3), np.uint8)
    outputs = answer(models, "serving_default", {"clips": video})
    assert np.isfinite(outputs["probabilities"]).all()


@pytest.mark.parametrize("what", list(_KINDS))
def test_malformed_requests_do_not_affect_the_next_request(server, models, what):
    good = {"clips": np.ones((1, *SPEC.input_shape), np.uint8)}
    before = answer(models, "views", good)["probabilities"]
    rng = np.random.default_rng(0)
    for _ in range(2):
        assert refusal(models, *_KINDS[what](rng, SPEC)).strip()
    np.testing.assert_array_equal(answer(models, "views", good)["probabilities"], before)


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("count", "growth"), [(110, 1e6), pytest.param(1000, 2e6, marks=pytest.mark.slow)]
)
def test_server_memory_stays_constant(report, clips, monkeypatch, count, growth):
    """After the first, which TensorFlow's memory grows to the size of.

    One arena: with one a thread, glibc holds megabytes that are free, now more and now less.
    """
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    with (
        started(report.path.parent) as server,
        connect(f"http://127.0.0.1:{server['rest']}/v1/models/t3d") as client,
    ):
        expected = client.probabilities(clips)

        def refused(count, seed):
            for what, code, message in sent(server["rest"], server["grpc"], SPEC, count, seed):
                assert code in {400, *_REFUSED}, (what, code, message)
                assert message, what

        refused(max(count // 5, 110), seed=0)
        before = resident_bytes(server["pid"])
        refused(count, seed=1)
        after = resident_bytes(server["pid"])
        np.testing.assert_array_equal(client.probabilities(clips), expected)
    print(f"{count} malformed requests: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
    assert after - before < growth

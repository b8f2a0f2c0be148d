"""The model from which the artifacts of the tests are exported."""

import json

import numpy as np
import pytest

from tests.conftest import NEEDS_SERVE, write_video
from tests.deploy.networks import clips_for, small_network


@pytest.fixture(scope="session")
def model():
    """A small T3D of six classes; tests must not change it."""
    return small_network()


@pytest.fixture(scope="session")
def model_path(model, tmp_path_factory):
    """The same as a .keras file; overrides the fixture of the other directories."""
    path = tmp_path_factory.mktemp("six") / "six.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def clips(model):
    """Three clips for it."""
    return clips_for(model, 3)


@pytest.fixture(scope="session")
def report(model, clips, tmp_path_factory):
    """Report of its export as a SavedModel, version 1 of the model `t3d`."""
    from keras_t3d.deploy import export_saved_model

    return export_saved_model(model, tmp_path_factory.mktemp("serving") / "t3d", clips)


@pytest.fixture(scope="session")
def watched_server(report):
    """A server that serves it."""
    pytest.importorskip("grpc", reason=NEEDS_SERVE)
    pytest.importorskip("starlette", reason=NEEDS_SERVE)
    from tests.deploy.watched_server import WatchedServer, versions_in

    server = WatchedServer({"t3d": versions_in(report.path.parent)})
    yield server
    server.close()


@pytest.fixture
def no_waiting(monkeypatch):
    """A client that does not wait between attempts; returns the waits that it would have made."""
    from keras_t3d.deploy.serving_client import deadline as deadlines

    waits = []
    monkeypatch.setattr(
        "keras_t3d.deploy.serving_client.client.with_retries",
        lambda attempt, deadline, attempts: deadlines.with_retries(
            attempt, deadline, attempts, waits.append
        ),
    )
    return waits


@pytest.fixture
def server(watched_server):
    """The server, reset after earlier tests."""
    watched_server.models.faults.clear()
    watched_server.models.states.clear()
    watched_server.models.requests.clear()
    return watched_server


@pytest.fixture
def check_commands(model, tmp_path, monkeypatch):
    """A function that checks `predict` and `embed` with an exported model, and no TensorFlow."""
    from keras_t3d import cli
    from keras_t3d.cli import loading
    from keras_t3d.inference import embed_videos, predict_videos

    frames = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    video = str(write_video(tmp_path / "noise.mp4", frames))

    def check(path):
        monkeypatch.setattr(loading, "import_tensorflow", pytest.fail)
        words = [str(path), video, "--workers", "0", "--out"]
        assert cli.main(["predict", *words, str(tmp_path / "scores.jsonl"), "--top", "6"]) == 0
        (row,) = map(json.loads, (tmp_path / "scores.jsonl").read_text().splitlines())
        (result,) = predict_videos(model, [video])
        expected = dict(zip(model.class_names, result.values, strict=True))
        found = {one["class"]: one["probability"] for one in row["classes"]}
        assert found == pytest.approx(expected, abs=1e-5)
        assert cli.main(["embed", *words, str(tmp_path / "embeddings.npz")]) == 0
        (result,) = embed_videos(model, [video])
        embeddings = np.load(tmp_path / "embeddings.npz")["embeddings"]
        np.testing.assert_allclose(embeddings, [result.values], atol=1e-4)

    return check

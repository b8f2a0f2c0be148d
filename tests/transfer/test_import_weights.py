"""Networks of PyTorch with random weights and statistics, saved, imported, and run beside ours."""

import argparse
import importlib
import pathlib
import pickle
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test EXTRAS=dev,backends")

import keras  # noqa: E402

import keras_t3d  # noqa: E402
from keras_t3d import ClipSpec  # noqa: E402
from keras_t3d.cli import main  # noqa: E402
from keras_t3d.errors import InvalidArgumentError, MissingPackageError  # noqa: E402
from keras_t3d.models.registry import configurations  # noqa: E402
from keras_t3d.models.weight_names import (  # noqa: E402
    NORMALIZATIONS,
    rename_layers,
    weights_by_layer,
)
from keras_t3d.transfer import import_weights, kinetics400_classes  # noqa: E402
from keras_t3d.transfer.recognition import recognize_network  # noqa: E402
from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint  # noqa: E402
from keras_t3d.weights.tensors import group_tensors  # noqa: E402

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("zeros_for_initial_values")]

sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))
hara_networks, hara_r2plus1d, torchvision_networks, torch_parts = map(
    importlib.import_module,
    ("hara_networks", "hara_r2plus1d", "torchvision_networks", "torch_parts"),
)

SMALL = (8, 48, 48, 3)


def hara(kind, depth, era, **options):
    """A network of Hara et al. and the name of ours."""
    network, ours = {
        "resnet": (hara_networks.HaraResNet, "resnet3d"),
        "resnext": (hara_networks.HaraResNeXt, "resnext3d"),
        "densenet": (hara_networks.HaraDenseNet, "densenet3d"),
        "r2plus1d": (hara_r2plus1d.HaraR2Plus1D, "resnet2plus1d"),
    }[kind]
    if kind == "densenet":
        options["spelling"] = era
    return network(depth, **options), f"{ours}_{depth}"


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    """A ResNet-18 of 5 classes with shortcut A, and its checkpoint of 2018."""
    network, _ = hara("resnet", 18, "old", num_classes=5, shortcut="A")
    torch_parts.randomize(network, 0, spread=60.0)
    path = tmp_path_factory.mktemp("checkpoint") / "resnet-18.pth"
    torch.save(hara_networks.hara_checkpoint(network, "old"), path)
    return network, path


def largest_difference(network, model, shape):
    """Between logits, of one uint8 clip that is normalised by hand for PyTorch."""
    clip = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    clip_spec = model.clip_spec
    normalised = (clip / 255.0 - np.array(clip_spec.mean)) / np.array(clip_spec.std)
    network.eval()
    with torch.no_grad():
        theirs = network(torch.tensor(normalised.transpose(0, 4, 1, 2, 3), dtype=torch.float32))
    ours = keras.ops.convert_to_numpy(model(clip, training=False))
    assert np.abs(theirs.numpy()).max() > 0.1
    return np.abs(ours - theirs.numpy()).max()


# The same logits.


@pytest.mark.parametrize(
    ("kind", "depth", "era", "options"),
    [
        ("resnet", 18, "old", {"shortcut": "A"}),
        ("resnet", 18, "new", {"shortcut": "B"}),
        pytest.param("resnet", 50, "new", {}, marks=pytest.mark.slow),
        ("resnext", 50, "old", {}),
        ("densenet", 121, "old", {}),
        ("r2plus1d", 18, "new", {}),
        pytest.param("r2plus1d", 50, "new", {"shortcut": "A"}, marks=pytest.mark.slow),
    ],
)
def test_hara_networks_give_the_same_logits(tmp_path, kind, depth, era, options):
    network, name = hara(kind, depth, era, num_classes=6, **options)
    normalization = "activitynet" if era == "old" else "kinetics"
    torch_parts.randomize(network, 1, spread=60.0 if era == "old" else 1.0)
    torch.save(hara_networks.hara_checkpoint(network, era), tmp_path / "save_200.pth")
    shape = (16, 64, 64, 3) if kind == "densenet" else SMALL
    imported = import_weights(
        tmp_path / "save_200.pth", name, input_shape=shape, normalization=normalization
    )
    assert largest_difference(network, imported.model, shape) < 1e-4
    assert imported.model.num_classes == 6
    assert len(imported.used) == sum("tracked" not in n for n in network.state_dict())


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_torchvision_networks_give_the_same_logits(tmp_path, name):
    network = torchvision_networks.torchvision_video_resnet(name, num_classes=6)
    torch_parts.randomize(network, 2)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    imported = import_weights(tmp_path / "weights.pth", name, input_shape=SMALL)
    assert largest_difference(network, imported.model, SMALL) < 1e-4
    assert imported.model.clip_spec == ClipSpec(
        num_frames=8,
        frame_stride=2,
        resize=55,
        crop=48,
        mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989),
    )


@pytest.mark.parametrize(
    ("kind", "depth", "era", "options"),
    [
        ("resnet", 34, "old", {"shortcut": "A"}),
        pytest.param("resnet", 101, "old", {}, marks=pytest.mark.slow),
        pytest.param("resnet", 152, "new", {}, marks=pytest.mark.slow),
        ("resnext", 101, "old", {}),
        ("densenet", 121, "new", {}),
        pytest.param("densenet", 169, "new", {}, marks=pytest.mark.slow),
        pytest.param("densenet", 201, "old", {}, marks=pytest.mark.slow),
        ("r2plus1d", 34, "new", {}),
        pytest.param("r2plus1d", 50, "new", {}, marks=pytest.mark.slow),
    ],
)
def test_deeper_networks_have_a_weight_for_every_tensor(kind, depth, era, options):
    with torch.device("meta"):
        network, name = hara(kind, depth, era, num_classes=7, **options)
    shapes = {n: np.empty(t.shape) for n, t in network.state_dict().items()}
    layers = group_tensors(shapes)
    ours = {"shortcut": "zero_padding"} if "shortcut" in options else {}
    if kind == "densenet":
        ours = {"stem_kernel": (7, 7, 7), "stem_stride": (1, 2, 2), "stem_pool_stride": (2, 2, 2)}
    with keras.StatelessScope():
        model = keras_t3d.models.create(name, input_shape=(16, 64, 64, 3), num_classes=7, **ours)
    paths, unknown = rename_layers(layers, configurations()[name].checkpoint.layer_names)
    assert unknown == []
    theirs = {paths[layer]: weights for layer, weights in layers.items()}
    ours = weights_by_layer(model)
    assert {p: {n: tuple(w.shape) for n, w in ws.items()} for p, ws in ours.items()} == {
        p: {n: w.shape for n, w in ws.items()} for p, ws in theirs.items()
    }
    assert recognize_network(layers) == name


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_torchvision_networks_are_recognized(name):
    with torch.device("meta"):
        network = torchvision_networks.torchvision_video_resnet(name)
    tensors = {n: np.empty(t.shape) for n, t in network.state_dict().items()}
    assert recognize_network(group_tensors(tensors)) == name


def test_the_size_of_a_stem_shows_and_its_strides_are_arguments(tmp_path):
    small = {"stem_frames": 3, "num_classes": 6}
    networks = {
        "resnet3d_18": hara_networks.HaraResNet(18, stem_stride=2, **small),
        "resnet2plus1d_18": hara_r2plus1d.HaraR2Plus1D(18, stem_stride=2, pool=False, **small),
    }
    for name, network in networks.items():
        torch_parts.randomize(network, 3)
        torch.save(hara_networks.hara_checkpoint(network, "new"), tmp_path / "stem.pth")
        given = {"stem_stride": (2, 2, 2)}
        if name == "resnet2plus1d_18":
            given["stem_pool_stride"] = None
        imported = import_weights(
            tmp_path / "stem.pth", name, input_shape=SMALL, normalization="kinetics", **given
        )
        assert imported.options["stem_kernel"] == (3, 7, 7)
        assert imported.assumed.keys() == {"stem_stride", "stem_pool_stride"} - given.keys()
        assert ("assumed, stem_pool_stride=(2, 2, 2)" in str(imported)) == bool(imported.assumed)
        assert largest_difference(network, imported.model, SMALL) < 1e-4


# Head, clips and names.


def test_a_different_number_of_classes_makes_the_head_fresh(resnet18):
    network, path = resnet18
    kept = import_weights(path, "resnet3d_18", normalization="activitynet", input_shape=SMALL)
    fresh = import_weights(
        path,
        "resnet3d_18",
        num_classes=3,
        class_names=["a", "b", "c"],
        normalization="activitynet",
        input_shape=SMALL,
        dropout=0.5,
    )
    assert kept.left_out == ()
    assert fresh.left_out == ("fc.weight", "fc.bias")
    assert fresh.model.class_names == ("a", "b", "c")
    assert "5 classes; 3 classes, 'a' to 'c'" in str(fresh)
    clip = np.random.default_rng(1).integers(0, 256, (1, *SMALL), dtype=np.uint8)
    features = [imported.model.feature_model()(clip) for imported in (kept, fresh)]
    np.testing.assert_array_equal(*features)
    assert kept.options == fresh.options == {"shortcut": "zero_padding"}
    assert network.fc.out_features == kept.checkpoint_classes == 5


def test_the_head_may_be_left_out(resnet18):
    imported = import_weights(
        resnet18[1],
        "resnet3d_18",
        normalization="activitynet",
        input_shape=SMALL,
        include_top=False,
    )
    assert imported.model.outputs[0].shape == (None, 512)
    assert "left out" in str(imported)


def test_hara_clips_are_16_frames_in_a_row(resnet18):
    imported = import_weights(resnet18[1], "resnet3d_18", normalization="activitynet")
    clip_spec = imported.model.clip_spec
    assert clip_spec.input_shape == (16, 112, 112, 3)
    assert (clip_spec.frame_stride, clip_spec.resize) == (1, 128)
    white, grey = np.array(clip_spec.mean) * 255, np.array(clip_spec.std) * 255
    np.testing.assert_allclose(white, (114.7748, 107.7354, 99.4750))
    np.testing.assert_allclose(grey, 1.0)
    assert NORMALIZATIONS["kinetics"][0] == (0.4345, 0.4051, 0.3775)


def test_an_explicit_clip_spec_overrides(resnet18):
    clip_spec = ClipSpec(num_frames=8, frame_stride=3, resize=64, crop=48)
    imported = import_weights(resnet18[1], "resnet3d_18", clip_spec=clip_spec)
    assert imported.model.clip_spec == clip_spec
    with pytest.raises(InvalidArgumentError, match="`normalization`"):
        import_weights(resnet18[1], "resnet3d_18", clip_spec=clip_spec, normalization="kinetics")


def test_400_classes_are_those_of_kinetics(tmp_path):
    network = torchvision_networks.torchvision_video_resnet("mc3_18")
    arguments = argparse.Namespace(lr=0.1)  # as torchvision's scripts save them
    torch.save({"model": network.state_dict(), "args": arguments}, tmp_path / "mc3.pt")
    imported = import_weights(tmp_path / "mc3.pt", "mc3_18", input_shape=SMALL)
    assert imported.model.class_names == kinetics400_classes()
    own = [str(index) for index in range(400)]
    imported = import_weights(tmp_path / "mc3.pt", "mc3_18", input_shape=SMALL, class_names=own)
    assert imported.model.class_names == tuple(own)


# Files.


def test_safetensors_and_half_precision_give_the_same_arrays(resnet18, tmp_path):
    safetensors = pytest.importorskip(
        "safetensors.torch", reason="needs safetensors: make test EXTRAS=dev,backends"
    )
    tensors = resnet18[0].state_dict()
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    safetensors.save_file(tensors, tmp_path / "whole.safetensors")
    safetensors.save_file(half, tmp_path / "half.safetensors")
    torch.save(half, tmp_path / "half.pth")
    for file, expected in (
        ("whole.safetensors", tensors),
        ("half.safetensors", half),
        ("half.pth", half),
    ):
        arrays = read_checkpoint(tmp_path / file)
        assert arrays.keys() == expected.keys()
        for name, tensor in expected.items():
            np.testing.assert_array_equal(arrays[name], tensor.float().numpy())
            assert arrays[name].dtype in (np.float32, np.int64)


def test_files_of_old_pytorch(resnet18, tmp_path):
    network, _ = resnet18
    checkpoint = hara_networks.hara_checkpoint(network, "old")
    torch.save(checkpoint, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    arrays = read_checkpoint(tmp_path / "old.pth.tar")
    for name, tensor in checkpoint["state_dict"].items():
        np.testing.assert_array_equal(arrays[f"state_dict/{name}"], tensor.numpy())


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False, None])
def test_a_malicious_pickle_is_not_run(tmp_path, zipped):
    path, victim = tmp_path / "evil.pth", tmp_path / "victim"
    if zipped is None:
        path.write_bytes(pickle.dumps({"state_dict": Malicious(victim)}, protocol=2))
    else:
        evil = {"state_dict": {"a": torch.zeros(1)}, "x": Malicious(victim)}
        torch.save(evil, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"open.*evil\.pth"):
        import_weights(path, "resnet3d_18", normalization="kinetics")
    assert not victim.exists()


@pytest.mark.parametrize("suffix", ["pth", "pt", "tar", "safetensors"])
@pytest.mark.parametrize("damage", ["short", "noise", "empty", "text"])
def test_damaged_files_are_named(resnet18, tmp_path, suffix, damage):
    with resnet18[1].open("rb") as whole:
        half = whole.read(resnet18[1].stat().st_size // 2) if damage == "short" else b""
    content = {
        "short": half,
        "noise": np.random.default_rng(0).bytes(5000),
        "empty": b"",
        "text": b"<html>Quota exceeded</html>\n",
    }[damage]
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"bad\.{suffix}"):
        import_weights(path, "resnet3d_18", normalization="kinetics")


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        import_weights(tmp_path / "none.pth", "r3d_18")
    (tmp_path / "a.h5").write_bytes(b"1")
    with pytest.raises(CheckpointError, match=r"a\.h5"):
        import_weights(tmp_path / "a.h5", "r3d_18")
    for content in ({"epoch": 3}, [torch.zeros(2)], torch.zeros(2), {"state_dict": {}}):
        torch.save(content, tmp_path / "odd.pth")
        with pytest.raises(CheckpointError, match=r"odd\.pth"):
            import_weights(tmp_path / "odd.pth", "r3d_18")


def test_a_missing_package_is_named_with_its_pip_command(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"1")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackageError, match=r"safetensors: .*t3d\[weights\]"):
        import_weights(tmp_path / "a.safetensors", "r3d_18")


# Checkpoints that do not fit.


def test_another_network_is_named(resnet18):
    with pytest.raises(InvalidArgumentError, match=r"80 weights.*'resnet3d_18'"):
        import_weights(resnet18[1], "resnet3d_34", normalization="activitynet", input_shape=SMALL)


def test_stc_blocks_are_in_no_checkpoint(resnet18):
    with pytest.raises(InvalidArgumentError, match=r"stage1_block1/stc"):
        import_weights(
            resnet18[1], "stc_resnet3d_18", normalization="activitynet", input_shape=SMALL
        )


def test_tensors_that_do_not_fit_are_named(resnet18, tmp_path):
    tensors = {
        **resnet18[0].state_dict(),
        "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 3, 3),
        "extra.weight": torch.zeros(1),
        "bn1.bias": torch.full((64,), torch.nan),
    }
    del tensors["layer1.0.bn1.bias"]
    torch.save(tensors, tmp_path / "changed.pth")
    with pytest.raises(InvalidArgumentError, match=r"resnet3d_18.*changed\.pth") as error:
        import_weights(
            tmp_path / "changed.pth",
            "resnet3d_18",
            normalization="activitynet",
            input_shape=SMALL,
        )
    message = str(error.value)
    assert "layer1.0.conv1.weight (1, 3, 3, 64, 64) for (3, 3, 3, 64, 64)" in message
    assert "(extra.weight)" in message
    assert "(layer1.0.bn1.bias)" in message
    assert "(bn1.bias)" in message


def test_a_checkpoint_without_a_head(resnet18, tmp_path):
    tensors = {n: t for n, t in resnet18[0].state_dict().items() if not n.startswith("fc.")}
    torch.save(tensors, tmp_path / "body.pth")
    options = {"normalization": "activitynet", "input_shape": SMALL}
    with pytest.raises(InvalidArgumentError, match="`num_classes`"):
        import_weights(tmp_path / "body.pth", "resnet3d_18", **options)
    imported = import_weights(tmp_path / "body.pth", "resnet3d_18", num_classes=3, **options)
    assert "fresh, the checkpoint has none; 3 classes" in str(imported)


@pytest.mark.parametrize("normalization", [None, "imagenet"])
def test_the_normalization_is_never_guessed(resnet18, normalization):
    with pytest.raises(InvalidArgumentError, match=rf"`normalization`.*{normalization}"):
        import_weights(resnet18[1], "resnet3d_18", normalization=normalization)


def test_names_without_checkpoints(resnet18):
    with pytest.raises(InvalidArgumentError, match=r"'resnet3d_18'.*'resnet3d18'"):
        import_weights(resnet18[1], "resnet3d18")
    with pytest.raises(InvalidArgumentError, match=r"`name`.*'t3d_121'"):
        import_weights(resnet18[1], "t3d_121")


# The command.


def test_the_command_writes_a_model_and_says_what_it_holds(resnet18, tmp_path, capsys):
    network, path = resnet18
    words = ["import-weights", str(path), str(tmp_path / "start.keras"), "--model", "resnet3d_18"]
    words += ["--part", "state_dict", "--options", '{"dropout": 0.5}']
    assert main([*words, "--normalization", "activitynet", "--num-classes", "3"]) == 0
    out = capsys.readouterr().out
    assert "resnet3d_18, shortcut='zero_padding', with 85 tensors of " in out  # and 2 of the head
    assert "5 classes; 3 classes" in out
    assert "ClipSpec(num_frames=16, frame_stride=1" in out
    model = keras.saving.load_model(tmp_path / "start.keras")
    assert model.num_classes == 3
    expected = network.state_dict()["conv1.weight"].numpy().transpose(2, 3, 4, 1, 0)
    np.testing.assert_array_equal(model.get_layer("stem").conv.get_weights()[0], expected)


def test_the_command_fails_in_one_line_and_writes_nothing(resnet18, tmp_path, capsys):
    def error_of(out, *more):
        words = ["import-weights", str(resnet18[1]), str(tmp_path / out), *more]
        assert main([str(word) for word in words]) == 1
        message = capsys.readouterr().err
        assert message.startswith("keras-t3d: error: ")
        assert message.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
        return message

    model = ("--model", "resnet3d_18")
    assert "OUT.keras" in error_of("out.h5", *model)
    assert "normalization" in error_of("out.keras", *model)
    assert "options" in error_of("out.keras", *model, "--options", '{"num_classes": 3}')
    spoken = ("--normalization", "activitynet")
    assert "resnet3d_34" in error_of("a.keras", "--model", "resnet3d_34", *spoken)

"""Prefixes of tensors, and several networks in a file."""

import numpy as np
import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.checkpoint_parts import network_part

LAYERS = [
    f"layer{stage}.0.{part}{n}" for stage in (1, 2) for part in ("conv", "bn") for n in (1, 2)
]
NETWORK = {f"{name}.weight": np.ones(2) for name in ["conv1", "bn1", *LAYERS, "fc"]}


def prefixed(prefix, tensors=NETWORK):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "module.module.",
        "model.",
        "net.",
        "backbone.",
        "encoder.video.",
        "state_dict/module.",
        "checkpoint/state_dict/model.backbone.",
    ],
)
@pytest.mark.parametrize("wrapper", ["", "_orig_mod.", "_fsdp_wrapped_module."])
def test_the_prefix_of_all_tensors_is_left_out(prefix, wrapper):
    for file in (prefixed(prefix + wrapper), prefixed(wrapper + prefix)):
        part = network_part({**file, "optimizer/state/0/momentum_buffer": np.ones(2)})
        assert part.tensors.keys() == NETWORK.keys()
        assert (part.prefix, part.others, part.ignored) == (prefix, (), ())


def test_wrappers_inside_a_network_are_left_out():
    names = {
        name.replace("layer1.", "layer1._checkpoint_wrapped_module."): name for name in NETWORK
    }
    assert network_part({n: NETWORK[name] for n, name in names.items()}).tensors == NETWORK


def test_the_counter_of_an_averaged_model_is_no_tensor_of_the_network():
    averaged = {"n_averaged": np.array(7), **prefixed("module.")}
    part = network_part(averaged)
    assert (part.prefix, part.ignored) == ("module.", ())
    assert part.tensors.keys() == NETWORK.keys()


@pytest.mark.parametrize(
    ("trained", "averaged"),
    [
        ("state_dict/", "ema_state_dict/"),
        ("model/", "model_ema/module."),
        ("", "ema."),
        ("online_model.", "ema_model."),
        ("net/module.", "swa/module."),
    ],
)
def test_trained_weights_are_taken_before_averages(trained, averaged):
    mean = {name: 2 * tensor for name, tensor in NETWORK.items()}
    file = {**prefixed(trained), **prefixed(averaged, mean)}
    part = network_part(file)
    assert (part.prefix, part.others, part.tensors) == (trained, (averaged,), NETWORK)
    assert averaged.rstrip("./") in str(part)
    name = averaged.split("/")[0].rstrip(".")
    part = network_part(file, name)
    assert (part.prefix, part.others) == (averaged, (trained,))
    assert part.tensors["fc.weight"].tolist() == [2, 2]


def test_of_several_networks_one_must_be_named():
    file = {**prefixed("student.backbone."), **prefixed("teacher.backbone.")}
    for wrong in (None, "teach", "head"):
        with pytest.raises(InvalidArgumentError, match=r"`part`.*student\.backbone.*teacher"):
            network_part(file, wrong)
    assert network_part(file, "teacher").prefix == "teacher.backbone."


def test_a_head_beside_the_backbone_is_part_of_the_network():
    body = {name: tensor for name, tensor in NETWORK.items() if not name.startswith("fc")}
    file = {**prefixed("state_dict/backbone.", body), "state_dict/fc.weight": NETWORK["fc.weight"]}
    part = network_part({**file, "state_dict/loss.weight": np.ones(3)})
    assert part.tensors.keys() == NETWORK.keys()
    assert part.ignored == ("state_dict/loss.weight",)
    assert "loss.weight" in str(part)


def test_a_tensor_may_not_occur_twice():
    twice = {**prefixed("module."), "fc.weight": np.ones(2)}
    compiled = {**NETWORK, "_orig_mod.fc.weight": np.ones(2)}
    for file in (twice, compiled):
        with pytest.raises(InvalidArgumentError, match=r"fc\.weight"):
            network_part(file)


def test_unknown_names_are_left_as_they_are():
    part = network_part({"encoder.block.weight": np.ones(1)})
    assert list(part.tensors) == ["encoder.block.weight"]

"""JAX and PyTorch compute the outputs of TensorFlow, and need no TensorFlow.

Each backend runs in a process of its own, as Keras chooses its backend on import.
"""

import itertools

import numpy as np
import pytest

from keras_t3d import models
from tests import forked
from tests.backends.outputs import compute_outputs, stream_outputs
from tests.battery import noise_clips, randomize

pytestmark = [pytest.mark.process, pytest.mark.backend]

SHAPE = (6, 20, 19, 3)  # an even height tells even padding from Keras's "same"
RESNET = {"stage_blocks": (1, 1), "stage_filters": (4, 6), "stem_filters": 4}
R2PLUS1D = {
    **RESNET,
    "stage_blocks": (1,),
    "stage_filters": (6,),
    "stage_convolutions": ("2plus1d",),
    "stem_middle_filters": 5,
}
DENSE = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4}
STC = {"reduction": 2, "activation": "tanh"}
NETWORKS = {
    "t3d": (models.T3D, {**DENSE, "transition_filters": 3, "transition_depths": [(1, 3, 6)]}),
    "resnext_stc": (
        models.ResNet3D,
        {
            **RESNET,
            "block": "bottleneck",
            "stage_filters": (4, 8),
            "expansion": 2,
            "groups": 2,
            "stc": "residual",
            "stc_options": STC,
        },
    ),
    "r2plus1d": (models.R2Plus1D18, R2PLUS1D),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of networks that TensorFlow saved, and clips; and TensorFlow's outputs."""
    folder = tmp_path_factory.mktemp("saved")
    clips, labels = noise_clips(3, SHAPE), np.array([0, 2, 1])
    np.savez(folder / "clips.npz", clips=clips, labels=labels)
    for name, (network, options) in NETWORKS.items():
        model = randomize(network(input_shape=SHAPE, num_classes=3, **options))
        model.save(folder / f"{name}.keras")
    expected = {name: compute_outputs(folder / f"{name}.keras", clips, labels) for name in NETWORKS}
    options = {**R2PLUS1D, "pooling": "avg_deviation", "causal": True}
    randomize(models.R2Plus1D18(SHAPE, 3, **options)).save(folder / "causal.keras")
    expected["causal"] = stream_outputs(folder / "causal.keras", clips)
    return folder, expected


@pytest.fixture(scope="module", params=["jax", "torch"])
def computed(request, saved):
    """Outputs of TensorFlow and of another backend, by network."""
    folder, expected = saved
    forked.run_on_cpu(request.param, ["-m", "tests.backends.outputs", folder])
    found = {name: dict(np.load(folder / f"{name}.{request.param}.npz")) for name in expected}
    return expected, found


@pytest.mark.parametrize(
    ("network", "output"),
    [
        *itertools.product(NETWORKS, ["logits", "losses_kept", "weights_kept"]),
        ("causal", "logits"),
        ("causal", "steps"),
    ],
)
def test_outputs_equal_those_of_tensorflow(computed, network, output):
    expected, found = (backend[network][output] for backend in computed)
    scale = max(np.abs(expected).max(), 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


def test_heat_equals_that_of_tensorflow(computed):
    expected, found = computed
    for network, outputs in with_output(found, "heat"):
        heat = expected[network]["heat"]
        assert heat.max() > 0
        np.testing.assert_allclose(outputs["heat"], heat, atol=1e-5 * heat.max(), err_msg=network)


def test_a_stream_holds_no_gradients_of_the_steps_before(computed):
    for backend in computed:
        assert not backend["causal"]["holds_gradients"].any()


def with_output(backend, name):
    """The outputs of the networks of which a backend computed this one: of T3D in any case."""
    found = {network: outputs for network, outputs in backend.items() if name in outputs}
    assert "t3d" in found
    return found.items()


def test_threads_that_share_a_predictor_get_no_wrong_answer(computed):
    for backend in computed:
        for network, outputs in with_output(backend, "probabilities"):
            exponentials = np.exp(outputs["logits"])
            expected = exponentials / exponentials.sum(1, keepdims=True)
            found = outputs["probabilities"]
            expected = np.broadcast_to(expected, found.shape)
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=network)


def test_padding_does_not_change_an_evaluation(computed):
    for backend in computed:
        for network, outputs in with_output(backend, "evaluated"):
            plain, padded = outputs["evaluated"]
            np.testing.assert_allclose(padded, plain, rtol=1e-5, err_msg=network)


@pytest.mark.parametrize("values", ["losses", "weights"])
def test_rematerialization_does_not_change_training(computed, values):
    for network, outputs in with_output(computed[1], f"{values}_rematerialized"):
        kept, again = (outputs[f"{values}_{way}"] for way in ("kept", "rematerialized"))
        scale = max(np.abs(kept).max(), 1)
        np.testing.assert_allclose(again, kept, rtol=0, atol=1e-5 * scale, err_msg=network)


@pytest.mark.parametrize("program", [["jax"], ["torch"], ["torch", "AVX512_CORE"]], ids=" ".join)
def test_half_precision_is_exact_and_trains(program):
    backend, *instructions = program
    words = ["-m", "tests.backends.half_precision", *instructions]
    assert forked.run_on_cpu(backend, words).strip() == "all exact"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_network_is_built_without_tensorflow(backend):
    code = """
import sys

assert sys.modules["tensorflow"] is None  # importing it raises ImportError
import keras_t3d
import keras_t3d.layers
import keras_t3d.models
import keras
import numpy as np

model = keras_t3d.models.create(
    "stc_resnext3d_50",
    input_shape=(4, 16, 16, 3),
    num_classes=2,
    stage_blocks=(1,),
    stage_filters=(4,),
    groups=2,
    stem_filters=4,
)
logits = model(np.zeros((1, 4, 16, 16, 3), "uint8"))
assert tuple(logits.shape) == (1, 2)
found = {name for name in sys.modules if name.split(".")[0] == "tensorflow"}
assert found == {"tensorflow"} and sys.modules["tensorflow"] is None, found
print(keras.backend.backend())
"""
    assert forked.run_on_cpu(backend, ["-c", code]).strip().endswith(backend)

import keras
import numpy as np
import pytest

from keras_t3d.optimization import average_of_weights, make_optimizer
from keras_t3d.optimization.optimizers import optimizer_names
from tests.conftest import NEEDS_TORCH


def stepped(optimizer, values, gradients, steps=1):
    variables = [keras.Variable(np.array(v, np.float32), name=n) for n, v in values.items()]
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    return [v.numpy() for v in variables]


VALUES = {"kernel": [[1.0, 2.0]], "bias": [3.0]}
GRADIENTS = [np.array([[0.1, -0.2]], np.float32), np.array([0.5], np.float32)]


@pytest.mark.parametrize("name", optimizer_names())
def test_without_options_every_optimizer_steps_as_keras_own(name):
    try:
        expected = stepped(getattr(keras.optimizers, name)(0.01), VALUES, GRADIENTS, 3)
    except AttributeError as error:
        pytest.skip(f"broken in Keras {keras.__version__}, install another: {error}")
    ours = stepped(make_optimizer(name.lower(), 0.01), VALUES, GRADIENTS, 3)
    for a, b in zip(expected, ours, strict=True):
        np.testing.assert_array_equal(a, b)


def test_l2_is_pytorchs_weight_decay():
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    weight = torch.nn.Parameter(torch.tensor(VALUES["kernel"]))
    theirs = torch.optim.SGD([weight], 0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    for _ in range(4):
        weight.grad = torch.tensor(GRADIENTS[0])
        theirs.step()
    ours = make_optimizer("SGD", 0.1, momentum=0.9, nesterov=True, l2=0.01)
    kernel, _ = stepped(ours, VALUES, GRADIENTS, 4)
    np.testing.assert_allclose(kernel, weight.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("decay", ["l2", "weight_decay"])
def test_decay_skips_excluded_variables(decay):
    spared = make_optimizer("SGD", 0.1, decays=lambda v: len(v.shape) > 1, **{decay: 0.5})
    plain = make_optimizer("SGD", 0.1)
    kernel, bias = stepped(spared, VALUES, GRADIENTS)
    plain_kernel, plain_bias = stepped(plain, VALUES, GRADIENTS)
    np.testing.assert_array_equal(bias, plain_bias)
    np.testing.assert_allclose(
        kernel, plain_kernel - 0.1 * 0.5 * np.array(VALUES["kernel"]), rtol=1e-6
    )


def test_rates_by_variable():
    kernel, bias = stepped(
        make_optimizer("SGD", 0.1, rate_of=lambda v: 0.5 if v.name == "bias" else 1.0),
        VALUES,
        GRADIENTS,
    )
    np.testing.assert_allclose(kernel, [[0.99, 2.02]], rtol=1e-6)
    np.testing.assert_allclose(bias, [3 - 0.05 * 0.5], rtol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_rates_by_variable_scale_decoupled_decay(name):
    optimizer = make_optimizer(
        name, 0.1, weight_decay=0.5, rate_of=lambda v: 0.1 if v.name == "bias" else 1.0
    )
    kernel, bias = stepped(optimizer, VALUES, [0 * g for g in GRADIENTS])
    np.testing.assert_allclose(kernel, 0.95 * np.array(VALUES["kernel"]), rtol=1e-6)
    np.testing.assert_allclose(bias, 0.995 * np.array(VALUES["bias"]), rtol=1e-6)
    assert optimizer.weight_decay == 0.5


def test_clips_the_norm_of_all_gradients():
    norm = np.sqrt(0.01 + 0.04 + 0.25)
    kernel, bias = stepped(make_optimizer("SGD", 1.0, global_clipnorm=0.1), VALUES, GRADIENTS)
    np.testing.assert_allclose(kernel, VALUES["kernel"] - GRADIENTS[0] / norm * 0.1, rtol=1e-6)
    np.testing.assert_allclose(bias, VALUES["bias"] - GRADIENTS[1] / norm * 0.1, rtol=1e-6)


def test_the_average_of_the_weights():
    optimizer = make_optimizer("SGD", 1.0, use_ema=True, ema_momentum=0.5)
    assert average_of_weights(make_optimizer("SGD", 1.0)) == []
    values = [stepped(make_optimizer("SGD", 1.0), VALUES, GRADIENTS, n)[1] for n in (1, 2)]
    stepped(optimizer, VALUES, GRADIENTS, 2)
    (_, (_, average)) = average_of_weights(optimizer)
    np.testing.assert_allclose(average, (values[0] + values[1]) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "received"),
    [
        ("sdg", {}, "`name`.*'sdg'"),
        ("SGD", {"momentun": 0.9}, "`options`.*momentun"),
        ("SGD", {"gradient_accumulation_steps": 2}, "`gradient_accumulation_steps`.*2"),
    ],
)
def test_a_wrong_name_is_refused(name, options, received):
    with pytest.raises(ValueError, match=received):
        make_optimizer(name, 0.1, **options)

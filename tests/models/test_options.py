"""Options of every network are checked before anything is built."""

import keras
import numpy as np
import pytest

from keras_t3d import ClipSpec, models
from keras_t3d.errors import InvalidArgumentError
from tests.battery import array, fit_one_step, noise_clips

SMALL = {
    "resnet3d_18": {"input_shape": (8, 32, 32, 3), "num_classes": 2},
    "t3d_tiny": {"input_shape": (16, 64, 64, 3), "num_classes": 2},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"stem_kernel": 4}, "stem_kernel"),
        ({"stem_stride": (0, 2, 2)}, "stem_stride"),
        ({"stem_stride": (2, 2)}, "stem_stride"),
        ({"stc_options": {"reduction": 4}}, "stc_options"),
        ({"stc": "inside"}, "stc"),
        ({"num_classes": None}, "num_classes"),
        ({"include_top": False}, "num_classes"),
        ({"include_top": False, "num_classes": None, "class_names": ["a"]}, "class_names"),
        ({"pooling": None}, "pooling"),
        ({"dropout": 1.5}, "dropout"),
        ({"input_shape": (None, 64, 64, 3)}, "input_shape"),
        ({"weights": "imagenet"}, "weights"),
    ],
)
def test_wrong_arguments_are_named(name, wrong, argument):
    with pytest.raises(InvalidArgumentError, match=f"`{argument}`"):
        models.create(name, **{**SMALL[name], **wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("t3d_tiny", {"block_layers": 4}),
        ("t3d_tiny", {"block_layers": (2, 0)}),
        ("resnet3d_18", {"stage_blocks": (1.5, 1, 1, 1)}),
        ("resnet3d_18", {"stage_blocks": ()}),
    ],
)
def test_depths_are_integers(name, wrong):
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        models.create(name, **{**SMALL[name], **wrong})


@pytest.mark.parametrize("build", [models.T3D121, models.ResNet3D50, models.DenseNet3D])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {"drop_out": 0.1}, "no argument `drop_out`.*'dropout'"),
        (((16, 32, 32, 3), 2), {"drop_out": 0.1}, "no argument `drop_out`.*'dropout'"),
        (((16, 32, 32, 3), 2, (1, 1)), {}, "options by name.*too many positional"),
        (((16, 32, 32, 3), 2), {"num_classes": 2}, "multiple values.*'num_classes'"),
    ],
)
def test_wrong_calls_name_the_function(build, arguments, options, message):
    with pytest.raises(InvalidArgumentError, match=f"^{build.__name__} .*{message}"):
        build(*arguments, **options)


def test_the_shape_must_be_given():
    with pytest.raises(InvalidArgumentError, match=r"^T3D121 .*`input_shape`.*T3D121\(\("):
        models.T3D121()


def test_one_number_stands_for_three():
    one = models.create("resnet3d_18", **SMALL["resnet3d_18"], stem_kernel=3, stem_stride=2)
    three = models.create(
        "resnet3d_18", **SMALL["resnet3d_18"], stem_kernel=(3, 3, 3), stem_stride=(2, 2, 2)
    )
    assert one.get_config() == three.get_config()


def test_the_batch_dimension_may_be_given():
    with_batch = models.T3DTiny((None, 16, 64, 64, 3), 2)
    assert with_batch.input_shape == (None, 16, 64, 64, 3)
    assert with_batch.get_config()["input_shape"] == [16, 64, 64, 3]


TINY = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 6}


def test_weights_start_from_a_model_file(tmp_path):
    clip_spec = ClipSpec(8, frame_stride=3, resize=40, crop=32, mean=(0.4, 0.4, 0.4))
    source = models.DenseNet3D(
        (8, 32, 32, 3), 2, **TINY, clip_spec=clip_spec, class_names=["run", "walk"]
    )
    source.save(tmp_path / "m.keras")
    same = models.DenseNet3D((8, 32, 32, 3), 2, **TINY, weights=tmp_path / "m.keras")
    assert same.class_names == ("run", "walk")
    assert (same.clip_spec.mean, same.clip_spec.frame_stride) == ((0.4, 0.4, 0.4), 3)
    other = models.DenseNet3D((8, 32, 32, 3), 3, **TINY, weights=tmp_path / "m.keras")
    for mine, theirs in zip(same.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(other.get_weights()[:-2], source.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_start_from_a_weights_file(tmp_path):
    source = models.DenseNet3D((8, 32, 32, 3), 2, **TINY)
    source.save_weights(tmp_path / "m.weights.h5")
    again = models.DenseNet3D((8, 32, 32, 3), 2, **TINY, weights=tmp_path / "m.weights.h5")
    for mine, theirs in zip(again.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(FileNotFoundError):
        models.DenseNet3D((8, 32, 32, 3), 2, **TINY, weights=tmp_path / "none.keras")


# Dtype policies.

NETWORK = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4, "transition_filters": 4}


def small(**options):
    return models.T3D((8, 32, 32, 3), 3, **NETWORK, **options)


@pytest.fixture
def global_settings():
    """Puts the policy and the float type back that were set before."""
    before = (keras.config.dtype_policy(), keras.config.floatx())
    yield
    keras.config.set_dtype_policy(before[0])
    keras.config.set_floatx(before[1])


def test_the_global_policy_is_that_of_a_network_without_one(global_settings):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small()
    keras.config.set_dtype_policy("float32")
    for network in (model, type(model).from_config(model.get_config())):
        assert network.dtype_policy.name == "mixed_bfloat16"
        assert network.get_layer("stem").compute_dtype == "bfloat16"


def test_the_global_float_type_changes_no_network(global_settings):
    """As in keras.json, from which Keras then takes its policy too."""
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float16")
    model = small()
    assert model.dtype_policy.name == "float32"
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} == {"float32"}


@pytest.mark.fit
@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_pure_half_precision_trains(policy):
    model = small(dtype=policy, stc="output")
    loss = fit_one_step(model, noise_clips(2), np.array([0, 2]))
    assert 0 < loss < 5
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} == {policy, "float32"}
    assert all(np.isfinite(array(weight)).all() for weight in model.weights)


def test_a_policy_map_without_entries_is_its_default_and_scales_the_loss():
    model = small(dtype=keras.dtype_policies.DTypePolicyMap(default_policy="mixed_float16"))
    assert model.get_layer("stem").compute_dtype == "float16"
    model.compile("sgd")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.fit
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("t3d_tiny", {"block_layers": (1, 1)}),
        ("resnet3d_18", {"stage_blocks": (1, 1), "stage_filters": (4, 6), "stem_filters": 4}),
    ],
)
def test_double_precision_trains(name, options):
    keras.utils.set_random_seed(0)
    model = models.create(name, (8, 32, 32, 3), 3, dtype="float64", **options)
    loss = fit_one_step(model, noise_clips(2, (8, 32, 32, 3)), np.array([0, 2]))
    assert 0 < loss < 5
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} >= {"float64"}
    assert keras.backend.standardize_dtype(model.output.dtype) == "float64"

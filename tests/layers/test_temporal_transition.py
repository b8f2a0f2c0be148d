import keras
import numpy as np
import pytest

from keras_t3d.layers import TemporalTransition


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_branches_meet_on_channels_and_time_stays():
    layer = TemporalTransition(filters=5, depths=(1, 3, 6), pool_size=None)
    assert tuple(layer(features(2, 7, 4, 4, 3)).shape) == (2, 7, 4, 4, 15)


def test_pool_halves_time_height_and_width():
    layer = TemporalTransition(filters=5, depths=(1, 3, 4))
    assert tuple(layer(features(2, 8, 6, 4, 3)).shape) == (2, 4, 3, 2, 15)
    assert layer.compute_output_shape((None, 9, 7, 5, 3)) == (None, 4, 3, 2, 15)
    assert layer.compute_output_shape((None, None, 6, 4, 3)) == (None, None, 3, 2, 15)


def test_paper_variant_by_hand():
    """BN - ReLU - Conv in three parallel branches over one input, then the pool."""
    x = features(1, 6, 5, 5, 3)
    layer = TemporalTransition(filters=4, depths=(1, 3, 6))
    layer.build(x.shape)
    rng = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(rng.uniform(0.3, 1.0, variable.shape))
    branches = []
    for norm, conv in zip(layer.branch_norms, layer.branch_convs, strict=True):
        scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + 1e-5)
        active = np.maximum((x - norm.moving_mean.numpy()) * scale + norm.beta.numpy(), 0)
        branches.append(same_convolution(active, conv.kernel.numpy()))
    joined = np.concatenate(branches, axis=-1)
    pooled = joined[:, :, :4, :4].reshape(1, 3, 2, 2, 2, 2, 2, 12).mean(axis=(2, 4, 6))
    np.testing.assert_allclose(layer(x, training=False), pooled, rtol=1e-4, atol=1e-4)


def same_convolution(x, kernel):
    """A 'same' convolution from its definition; an even kernel pads one more at the end."""
    sizes = kernel.shape[:3]
    pads = [((k - 1) // 2, k // 2) for k in sizes]
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    out = np.zeros((*x.shape[:-1], kernel.shape[-1]))
    t, h, w = x.shape[1:4]
    for i, j, k in np.ndindex(*sizes):
        out += padded[:, i : i + t, j : j + h, k : k + w] @ kernel[i, j, k]
    return out


def test_authors_code_mixes_the_concatenated_channels():
    paper = TemporalTransition(filters=4, depths=(1, 3, 4))
    code = TemporalTransition(filters=4, depths=(1, 3, 4), variant="authors_code")
    for layer in (paper, code):
        layer.build((None, 8, 8, 8, 6))
    # One BN and one 1x1x1 convolution over 3 x 4 channels more.
    assert code.count_params() - paper.count_params() == 4 * 12 + 12 * 12
    assert tuple(code(features(1, 4, 4, 4, 6)).shape) == (1, 2, 2, 2, 12)


def test_batch_norm_learns_in_training_only():
    layer = TemporalTransition(filters=2, depths=(1, 3))
    x = features(2, 4, 4, 4, 3) + 5
    layer(x, training=False)
    before = layer.branch_norms[0].moving_mean.numpy().copy()
    layer(x, training=False)
    assert np.array_equal(layer.branch_norms[0].moving_mean.numpy(), before)
    layer(x, training=True)
    assert not np.array_equal(layer.branch_norms[0].moving_mean.numpy(), before)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("variant", ["paper", "authors_code"])
def test_dtype_policies(policy, variant):
    layer = TemporalTransition(filters=2, depths=(1, 3), variant=variant, dtype=policy)
    out = layer(features(1, 4, 4, 4, 3))
    assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
    assert all(variable.dtype == "float32" for variable in layer.variables)


def test_saves_and_loads(tmp_path):
    inputs = keras.Input((4, 4, 4, 3))
    layer = TemporalTransition(
        filters=2, depths=(1, 2), variant="authors_code", pool_size=(1, 2, 2)
    )
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    x = features(1, 4, 4, 4, 3)
    assert np.array_equal(model(x), again(x))
    assert again.layers[1].get_config() == layer.get_config()


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": 0},
        {"depths": ()},
        {"depths": (1, 1)},
        {"depths": (1, 2.5)},
        {"variant": "code"},
        {"pool_size": (2, 2)},
        {"pool_size": 0},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        TemporalTransition(**wrong)


def test_an_input_that_the_pool_eats_is_refused():
    with pytest.raises(ValueError, match=r"`pool_size=None`.*\(1, 1, 4, 4, 3\)"):
        TemporalTransition(filters=2)(features(1, 1, 4, 4, 3))
    with pytest.raises(ValueError, match="batch, time, height, width, channels"):
        TemporalTransition(filters=2)(features(1, 4, 4, 3))

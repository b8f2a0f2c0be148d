"""Parameter counts and stage shapes of the papers, and what every network must do."""

import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.errors import InvalidArgumentError

FULL = {"input_shape": (32, 224, 224, 3), "num_classes": 400}
STAGES = ("stem", "block1", "transition1", "block2", "transition2", "block3", "transition3")


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


LAYERS_121, LAYERS_169 = (6, 12, 24, 16), (6, 12, 32, 32)


@pytest.mark.usefixtures("zeros_for_initial_values")
@pytest.mark.parametrize(
    ("factory", "options", "parameters", "width", "layers"),
    [
        (models.DenseNet3D121, {}, 11_658_896, 1024, LAYERS_121),
        (models.DenseNet3D169, {}, 19_214_992, 1664, LAYERS_169),
        (models.T3D121, {}, 29_876_880, 896, LAYERS_121),
        (models.T3D121, {"variant": "authors_code"}, 29_731_728, 896, LAYERS_121),
        (models.T3D169, {}, 38_519_184, 1408, LAYERS_169),
        pytest.param(
            models.T3D169,
            {"variant": "authors_code"},
            38_374_032,
            1408,
            LAYERS_169,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_named_networks_have_the_parameters_and_sizes_of_the_papers(
    factory, options, parameters, width, layers
):
    model = factory(**FULL, **options)
    assert trainable(model) == parameters
    assert model.get_layer("embedding").output.shape == (None, width)
    assert tuple(model.get_layer(f"block{number}").num_layers for number in (1, 2, 3, 4)) == layers
    assert model.get_layer("stem").conv.compute_output_shape((None, *FULL["input_shape"])) == (
        (None, 16, 112, 112, 64)
    )
    times = (8, 8, 4, 4, 2, 2, 1) if options else (16, 16, 8, 8, 4, 4, 2)
    sides = (56, 56, 28, 28, 14, 14, 7)
    for stage, time, side in zip(STAGES, times, sides, strict=True):
        assert model.get_layer(stage).output.shape[1:4] == (time, side, side), stage


def test_dense_layers_add_their_growth():
    model = models.T3D(
        input_shape=(16, 64, 64, 3),
        num_classes=8,
        block_layers=(2, 2),
        growth_rate=5,
        stem_filters=8,
    )
    block = model.get_layer("block1")
    assert [conv.kernel.shape[-2] for conv in block.convs1] == [8, 13]
    assert block.output.shape[-1] == 18


def test_dense_layers_of_the_deepest_network():
    model = models.DenseNet3D201(
        input_shape=(16, 32, 32, 3), num_classes=2, growth_rate=2, bottleneck_factor=1
    )
    layers = tuple(model.get_layer(f"block{number}").num_layers for number in (1, 2, 3, 4))
    assert layers == (6, 12, 48, 32)


def test_stc_stands_after_every_dense_block():
    options = {"growth_rate": 4, "stc": "output", "stc_options": {"reduction": 2}}
    model = tiny(block_layers=(1, 2, 1), **options)
    order = [layer.name for layer in model.layers]
    for number in (1, 2, 3):
        assert order.index(f"block{number}_stc") == order.index(f"block{number}") + 1
        assert model.get_layer(f"block{number}_stc").reduction == 2
        assert model.stages[f"block{number}"] == f"block{number}_stc"
    # 4 frames, 8 + 4 channels; 2 frames, 6 + 8; 1 frame, 7 + 4.
    kernels = [
        tuple(model.get_layer(f"block{number}_stc").spatial_squeeze_kernel.shape)
        for number in (1, 2, 3)
    ]
    assert kernels == [(48, 24), (28, 14), (11, 5)]


def tiny(**options):
    options = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 8, **options}
    network = models.T3D if "transition_filters" in options else models.DenseNet3D
    return network(**{"input_shape": (8, 32, 32, 3), "num_classes": 3, **options})


def clips(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, 8, 32, 32, 3)).astype("uint8")


def test_strided_layers_pad_evenly():
    """A convolution and a pool padded evenly commute with flipping time, height and width."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 9, 33, 33, 3)).astype("float32")
    odd = models.DenseNet3D(
        input_shape=(9, 33, 33, 3),
        num_classes=3,
        block_layers=(1, 1),
        growth_rate=4,
        stem_filters=8,
    )
    kernel = odd.get_layer("stem").conv.kernel
    kernel.assign(np.asarray(kernel) + np.asarray(kernel)[::-1, ::-1, ::-1])
    stem = odd.feature_model("stem")
    flipped = np.asarray(stem(x[:, ::-1, ::-1, ::-1]))[:, ::-1, ::-1, ::-1]
    np.testing.assert_allclose(np.asarray(stem(x)), flipped, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"transition_filters": 4}])
def test_saves_and_loads_with_spec_and_names(options, tmp_path):
    from keras_t3d import ClipSpec

    clip_spec = ClipSpec(num_frames=8, frame_stride=3, resize=40, crop=32, mean=(0.4, 0.4, 0.4))
    model = tiny(class_names=["a", "b", "c"], clip_spec=clip_spec, dropout=0.3, **options)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again) is type(model)
    assert (again.clip_spec, again.class_names) == (clip_spec, ("a", "b", "c"))
    assert again.get_config() == model.get_config()
    assert np.array_equal(model(clips()), again(clips()))


def test_uint8_and_float_clips_give_the_same_logits():
    model = tiny()
    assert np.array_equal(model(clips()), model(clips().astype("float32")))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_float32_logits(policy, tmp_path):
    model = tiny(dtype=policy, transition_filters=4)
    assert keras.backend.standardize_dtype(model(clips()).dtype) == "float32"
    for layer in (model.get_layer("block1"), model.get_layer("block1").convs2[0]):
        assert layer.compute_dtype == policy.removeprefix("mixed_")
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.get_layer("block1").convs2[0].dtype_policy.name == policy


@pytest.mark.fit
def test_fit_learns_and_the_file_keeps_the_optimizer(tmp_path):
    keras.utils.set_random_seed(0)
    model = tiny(transition_filters=4)
    x = np.concatenate([np.full((6, 8, 32, 32, 3), level) for level in (20, 128, 235)])
    x = (x + np.random.default_rng(0).integers(-15, 15, x.shape)).astype("uint8")
    y = np.repeat(np.arange(3), 6)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    history = model.fit(x, y, batch_size=6, epochs=6, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert int(again.optimizer.iterations.numpy()) == 18


def test_feature_model_shares_the_weights():
    model = tiny()
    embedding = model.feature_model()(clips())
    assert embedding.shape == (2, model.get_layer("logits").kernel.shape[0])
    by_hand = np.asarray(embedding) @ model.get_layer("logits").kernel.numpy()
    np.testing.assert_allclose(
        by_hand + model.get_layer("logits").bias.numpy(), model(clips()), atol=1e-5
    )
    stem, block = model.feature_model("stem", "block1")(clips())
    assert stem.shape[1] == block.shape[1]


def test_another_number_of_classes_replaces_the_head():
    pretrained, fresh = (
        tiny(),
        models.DenseNet3D(
            input_shape=(8, 32, 32, 3),
            num_classes=5,
            block_layers=(1, 1),
            growth_rate=4,
            stem_filters=8,
        ),
    )
    head = fresh.get_layer("logits").kernel.numpy().copy()
    assert fresh.copy_weights_from(pretrained) == ["logits"]
    assert np.array_equal(
        fresh.get_layer("stem").conv.kernel.numpy(),
        pretrained.get_layer("stem").conv.kernel.numpy(),
    )
    assert np.array_equal(fresh.get_layer("logits").kernel.numpy(), head)
    assert tiny().copy_weights_from(pretrained) == []
    assert tiny(dropout=0.5, pooling="max").copy_weights_from(pretrained) == []
    with pytest.raises(InvalidArgumentError, match="`other`"):
        tiny(growth_rate=6).copy_weights_from(pretrained)


@pytest.mark.parametrize("shape", [(14, 112, 112, 3), (16, 28, 112, 3), (16, 112, 24, 3)])
def test_clips_too_small_for_the_strides_are_rejected(shape):
    with pytest.raises(InvalidArgumentError, match="15 frames of 29x29 pixels") as error:
        models.T3D121(input_shape=shape, num_classes=2)
    assert str(error.value).endswith(f"Received: {shape}")


@pytest.mark.usefixtures("zeros_for_initial_values")
def test_the_smallest_accepted_clip_builds():
    model = models.T3D121(input_shape=(15, 29, 29, 3), num_classes=2)
    assert model.get_layer("transition3").output.shape[1:4] == (1, 1, 1)
    with pytest.raises(InvalidArgumentError, match="29 frames of 29x29 pixels"):
        models.T3D121(input_shape=(16, 112, 112, 3), num_classes=2, variant="authors_code")


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_shape": (16, 112, 112)},
        {"input_shape": (16, 112, 112, 1)},
        {"num_classes": 0},
        {"dropout": 1.0},
        {"class_names": ["a"]},
        {"class_names": ["a", "a"]},
        {"class_names": ["a", ""]},
        {"block_layers": ()},
        {"block_layers": (2, 0)},
        {"stem_kernel": (2, 7, 7)},
        {"stc": "residual"},
        {"pooling": None},
        {"include_top": False},
        {"num_classes": None},
    ],
)
def test_wrong_arguments_are_rejected(wrong):
    arguments = {"input_shape": (16, 32, 32, 3), "num_classes": 2, "block_layers": (1, 1), **wrong}
    with pytest.raises(InvalidArgumentError, match="Received"):
        models.DenseNet3D(**arguments)


def test_a_clip_spec_of_another_shape_is_rejected():
    from keras_t3d import ClipSpec

    with pytest.raises(InvalidArgumentError, match="clip_spec"):
        models.T3DTiny(input_shape=(16, 64, 64, 3), num_classes=2, clip_spec=ClipSpec())


def test_numpy_integers_are_accepted():
    model = tiny(num_classes=np.int64(3))
    assert model.num_classes == 3
    assert type(model).from_config(model.get_config()).num_classes == 3


def test_wrong_variants_are_rejected():
    with pytest.raises(InvalidArgumentError, match="variant"):
        models.T3DTiny(input_shape=(16, 64, 64, 3), num_classes=2, variant="code")
    with pytest.raises(InvalidArgumentError, match="transition_depths"):
        models.T3D121(input_shape=(16, 64, 64, 3), num_classes=2, transition_depths=[(1, 3)])

"""On a still clip an inflated network gives the features of the 2D network."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_t3d import ClipSpec
from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipNormalization
from keras_t3d.models import (
    T3D,
    T3D121,
    DenseNet3D,
    DenseNet3D121,
    ResNet3D,
    ResNet3D50,
    VideoClassifier,
)
from keras_t3d.models.inflation import inflate, source_normalization

MEAN, STD = np.array(ClipSpec().mean), np.array(ClipSpec().std)
TOLERANCE = 1e-5  # of the largest feature


def still_clip(frames, size=64, seed=0):
    """One image as float pixels, and the clip that repeats it."""
    image = np.random.default_rng(seed).uniform(0, 255, (1, size, size, 3)).astype("float32")
    return image, np.repeat(image[:, None], frames, axis=1)


def assert_same(clip_features, image_features):
    """Each frame of the clip's features is the image's."""
    image_features = np.asarray(image_features)
    if clip_features.ndim == 5:
        image_features = image_features[:, None]
    scale = np.abs(image_features).max()
    assert scale > 0
    assert np.abs(np.asarray(clip_features) - image_features).max() <= TOLERANCE * scale


def differs(clip_features, image_features):
    image_features = np.asarray(image_features)
    return (
        np.abs(np.asarray(clip_features) - image_features[:, None]).max()
        > 1000 * TOLERANCE * np.abs(image_features).max()
    )


def values_of(model):
    return [np.asarray(weight) for weight in model.get_weights()]


# 2D networks of keras.applications, with statistics and biases that are not the initial.


def randomized(network):
    rng = np.random.default_rng(1)
    for variable in network.weights:
        if variable.path.endswith(("moving_mean", "beta", "bias")):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        if variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


def outputs_of(network, names, x):
    features = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    return features(x, training=False)


@pytest.fixture(scope="module")
def densenet121():
    keras.utils.set_random_seed(0)
    shape = (64, 64, 3)
    return randomized(keras.applications.DenseNet121(weights=None, input_shape=shape, classes=7))


@pytest.fixture(scope="module")
def resnet50():
    keras.utils.set_random_seed(0)
    options = {"weights": None, "include_top": False, "input_shape": (64, 64, 3)}
    return randomized(keras.applications.ResNet50(**options))


@pytest.mark.export
def test_densenet121_of_keras_in_every_stage(densenet121):
    model = DenseNet3D121(input_shape=(16, 64, 64, 3), num_classes=3)
    before = model.get_layer("logits").get_weights()
    report = inflate(model, densenet121, mode="centre")
    image, clip = still_clip(16)
    stages = {
        "stem": "pool1",
        "block1": "conv2_block6_concat",
        "transition1": "pool2_pool",
        "block2": "conv3_block12_concat",
        "transition2": "pool3_pool",
        "block3": "conv4_block24_concat",
        "block4": "conv5_block16_concat",
        "embedding": "avg_pool",
    }
    expected = outputs_of(densenet121, stages.values(), (image / 255 - MEAN) / STD)
    for mine, theirs in zip(model.feature_model(*stages)(clip), expected, strict=True):
        assert_same(mine, theirs)

    assert report.fresh == ("logits",)
    assert len(report.inflated) == 2 * 121 - 1
    assert report.unused == ("predictions",)
    assert report.notes == ()
    for old, new in zip(before, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.export
def test_t3d_up_to_where_its_channels_part(densenet121):
    model = T3D121(input_shape=(16, 64, 64, 3), num_classes=3)
    report = inflate(model, densenet121, mode="centre")
    image, clip = still_clip(16)
    names = ("pool1", "conv2_block6_concat", "pool2_pool", "conv3_block12_concat")
    expected = outputs_of(densenet121, names, (image / 255 - MEAN) / STD)
    stem, block1, transition1, block2 = model.feature_model(
        "stem", "block1", "transition1", "block2"
    )(clip)
    assert_same(stem, expected[0])
    assert_same(block1, expected[1])
    assert_same(transition1[..., :128], expected[2])  # the branch of depth 1
    assert_same(block2[..., :128], expected[3][..., :128])
    assert_same(block2[..., 384:], expected[3][..., 128:])  # what the block's layers add

    assert {"stem/conv", "block1/layer1_conv1", "transition1/depth1_conv"} < set(report.inflated)
    assert {"block2/layer12_bn1", "block2/layer12_conv2"} < set(report.inflated)
    assert {"transition1/depth3_conv", "transition2/depth1_bn", "final_bn"} < set(report.fresh)
    assert not any(layer.startswith(("block3", "block4")) for layer in report.inflated)
    assert {"conv4_block1_0_bn", "bn", "predictions"} < set(report.unused)
    assert "after block2" in report.notes[0]


@pytest.fixture(scope="module")
def caffe_resnet3d50(resnet50):
    """A network for the means of `resnet50`, with ImageNet's std."""
    mean = source_normalization(resnet50)["mean"]
    clip_spec = ClipSpec(num_frames=8, resize=73, crop=64, mean=mean)
    return ResNet3D50(input_shape=clip_spec.input_shape, num_classes=3, clip_spec=clip_spec)


@pytest.mark.export
def test_resnet50_of_keras_where_the_stride_allows(resnet50, caffe_resnet3d50):
    model = caffe_resnet3d50
    report = inflate(model, resnet50, mode="centre")
    image, clip = still_clip(8)
    names = ("pool1_pool", "conv2_block3_out", "conv3_block1_out", "conv3_block4_out")
    caffe = keras.applications.resnet50.preprocess_input(image.copy())
    pool1, conv2, conv3_first, conv3 = outputs_of(resnet50, names, caffe)
    stem, stage1, stage2_first = model.feature_model("stem", "stage1", "stage2_block1")(clip)
    assert_same(stem, pool1)
    assert_same(stage1, conv2)
    assert differs(stage2_first, conv3_first)
    assert "strides its 3x3x3 convolution" in report.notes[0]

    # The blocks after it are equal again, for equal inputs.
    x = np.repeat(np.asarray(conv3_first)[:, None], 2, axis=1)
    for number in (2, 3, 4):
        x = model.get_layer(f"stage2_block{number}")(x, training=False)
    assert_same(x, conv3)


@pytest.mark.export
def test_biases_and_epsilon_go_into_the_statistics(resnet50, caffe_resnet3d50):
    norm = resnet50.get_layer("conv1_bn")
    variance = np.array(norm.moving_variance)
    norm.moving_variance.assign(np.zeros(64))
    inflate(caffe_resnet3d50, resnet50)
    norm.moving_variance.assign(variance)
    _, _, mine_mean, mine_variance = caffe_resnet3d50.get_layer("stem").bn.get_weights()
    bias = np.asarray(resnet50.get_layer("conv1_conv").bias)
    np.testing.assert_allclose(mine_mean, np.asarray(norm.moving_mean) - bias, rtol=1e-5)
    np.testing.assert_allclose(mine_variance + 1e-5, np.full(64, 1.001e-5), rtol=1e-6)


@pytest.mark.export
def test_source_normalization_is_that_of_the_2d_network(resnet50, densenet121, small_resnet):
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    for source, preprocess in (
        (resnet50, keras.applications.resnet50.preprocess_input),
        (densenet121, keras.applications.densenet.preprocess_input),
    ):
        mine = ClipNormalization(**source_normalization(source))(pixels)
        theirs = preprocess(pixels.copy())
        theirs = theirs[..., ::-1] if source is resnet50 else theirs  # B, G, R
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    expected = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    assert source_normalization(small_resnet) == expected


@pytest.mark.export
def test_resnet_v2_is_refused():
    options = {"weights": None, "include_top": False, "input_shape": (32, 32, 3)}
    with pytest.raises(InvalidArgumentError, match=r"`source`.*conv2_block1_preact_bn"):
        source_normalization(keras.applications.ResNet50V2(**options))


# torchvision's: weights by its names, and what its networks compute with them.


def torch_layer(rng, weights, name, outputs, inputs, size):
    scale = np.sqrt(2 / (inputs * size * size))
    weights[f"{name}.weight"] = rng.normal(0, scale, (outputs, inputs, size, size))


def torch_norm(rng, weights, name, width):
    weights[f"{name}.weight"] = rng.uniform(0.5, 1.5, width)
    weights[f"{name}.bias"] = rng.normal(0, 0.2, width)
    weights[f"{name}.running_mean"] = rng.normal(0, 0.2, width)
    weights[f"{name}.running_var"] = rng.uniform(0.5, 1.5, width)
    weights[f"{name}.num_batches_tracked"] = np.array(5)


def torch_resnet(blocks, filters, bottleneck, groups=1, expansion=4):
    """Weights of a torchvision ResNet; the stem has 64 filters."""
    rng = np.random.default_rng(2)
    weights = {}
    torch_layer(rng, weights, "conv1", 64, 3, 7)
    torch_norm(rng, weights, "bn1", 64)
    channels = 64
    for stage, (count, width) in enumerate(zip(blocks, filters, strict=True), start=1):
        out = width * (expansion if bottleneck else 1)
        for index in range(count):
            name = f"layer{stage}.{index}"
            if bottleneck:
                plan = [(width, channels, 1), (width, width // groups, 3), (out, width, 1)]
            else:
                plan = [(width, channels, 3), (width, width, 3)]
            for number, (outputs, inputs, size) in enumerate(plan, start=1):
                torch_layer(rng, weights, f"{name}.conv{number}", outputs, inputs, size)
                torch_norm(rng, weights, f"{name}.bn{number}", outputs)
            if index == 0 and (stage > 1 or channels != out):
                torch_layer(rng, weights, f"{name}.downsample.0", out, channels, 1)
                torch_norm(rng, weights, f"{name}.downsample.1", out)
            channels = out
    torch_layer(rng, weights, "fc", 7, channels, 1)
    weights["fc.weight"] = weights["fc.weight"][:, :, 0, 0]
    weights["fc.bias"] = np.zeros(7)
    return {key: np.asarray(value, "float32") for key, value in weights.items()}


def conv(x, kernel, stride=1):
    pad = kernel.shape[2] // 2
    x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    groups = x.shape[-1] // kernel.shape[1]
    if groups > 1:
        parts = zip(ops.split(x, groups, -1), np.split(kernel, groups), strict=True)
        kernels = ((part, k.transpose(2, 3, 1, 0)) for part, k in parts)
        return ops.concatenate([ops.conv(part, k, stride) for part, k in kernels], -1)
    return ops.conv(x, kernel.transpose(2, 3, 1, 0), stride)


def batch_norm(x, weights, name):
    scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + 1e-5)
    return (x - weights[f"{name}.running_mean"]) * scale + weights[f"{name}.bias"]


def resnet_features(weights, image, pool=True):
    """torchvision's ResNet: the stride is in the 3x3 convolution."""
    x = ((image / 255 - MEAN) / STD).astype("float32")
    x = ops.relu(batch_norm(conv(x, weights["conv1.weight"], 2), weights, "bn1"))
    if pool:
        x = ops.max_pool(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, 2, "valid")
    features = {"stem": x}
    blocks = sorted({key.split(".conv")[0] for key in weights if key.startswith("layer")})
    for block in sorted({".".join(block.split(".")[:2]) for block in blocks}):
        stride = 2 if block.endswith(".0") and not block.startswith("layer1") else 1
        strided = 2 if f"{block}.conv3.weight" in weights else 1
        y = x
        for number in range(1, strided + 2):
            kernel = weights[f"{block}.conv{number}.weight"]
            y = conv(ops.relu(y) if number > 1 else y, kernel, stride if number == strided else 1)
            y = batch_norm(y, weights, f"{block}.bn{number}")
        if f"{block}.downsample.0.weight" in weights:
            x = conv(x, weights[f"{block}.downsample.0.weight"], stride)
            x = batch_norm(x, weights, f"{block}.downsample.1")
        x = ops.relu(x + y)
        features[f"stage{block[5]}"] = x
    return {**features, "embedding": ops.mean(x, (1, 2))}


def assert_same_features(model, expected, clip):
    for mine, theirs in zip(model.feature_model(*expected)(clip), expected.values(), strict=True):
        assert_same(mine, theirs)


@pytest.fixture(scope="module")
def small_resnet():
    """A bottleneck ResNet of two stages."""
    return torch_resnet((1, 2), (8, 16), bottleneck=True)


def small_resnet3d(block="bottleneck", frames=8, size=32, **options):
    options = {"stage_blocks": (1, 2), "stage_filters": (8, 16), "num_classes": 3, **options}
    return ResNet3D(input_shape=(frames, size, size, 3), block=block, **options)


@pytest.mark.slow  # the next tests inflate smaller networks of torchvision
def test_resnet50_of_torchvision_in_every_stage():
    weights = torch_resnet((3, 4, 6, 3), (64, 128, 256, 512), bottleneck=True)
    model = ResNet3D50(input_shape=(8, 64, 64, 3), num_classes=3)
    report = inflate(model, weights, mode="centre")
    image, clip = still_clip(8)
    assert_same_features(model, resnet_features(weights, image), clip)
    assert report.fresh == ("logits",)
    assert report.unused == ("fc",)
    assert report.notes == ()


def test_basic_blocks_of_torchvision():
    weights = torch_resnet((2, 2), (64, 32), bottleneck=False)
    options = {"stage_blocks": (2, 2), "stage_filters": (64, 32)}
    model = small_resnet3d("basic", **options)
    inflate(model, weights, mode="centre")
    image, clip = still_clip(8, 32)
    assert_same_features(model, resnet_features(weights, image), clip)


def test_groups_as_in_resnext():
    weights = torch_resnet((1, 1), (16, 32), bottleneck=True, groups=4, expansion=2)
    options = {"stage_blocks": (1, 1), "stage_filters": (16, 32), "expansion": 2, "groups": 4}
    model = small_resnet3d(**options)
    inflate(model, weights, mode="centre")
    image, clip = still_clip(8, 32)
    assert_same_features(model, resnet_features(weights, image), clip)


def test_mean_is_equal_away_from_the_ends():
    weights = torch_resnet((2, 1), (64, 8), bottleneck=False)
    options = {"stage_blocks": (2, 1), "stage_filters": (64, 8)}
    model = small_resnet3d("basic", frames=32, **options)
    inflate(model, weights, mode="mean")
    image, clip = still_clip(32, 32)
    expected = resnet_features(weights, image)
    stem_conv = conv(((image / 255 - MEAN) / STD).astype("float32"), weights["conv1.weight"], 2)
    mine = model.get_layer("stem").conv(model.feature_model("normalization")(clip))
    stem, stage1 = model.feature_model("stem", "stage1")(clip)
    assert_same(mine[:, 3:29], stem_conv)  # taps of 7 frames
    assert_same(stem[:, 2:14], expected["stem"])  # the pool sees 2t - 1 to 2t + 1
    assert_same(stage1[:, 6:10], expected["stage1"])  # four convolutions of 3 frames
    assert differs(mine[:, :1], stem_conv)
    assert differs(stage1[:, :1], expected["stage1"])


def test_an_inflated_kernel_adds_up_to_the_2d_one(small_resnet):
    model = small_resnet3d()
    kernel = small_resnet["layer2.0.conv2.weight"].transpose(2, 3, 1, 0)
    inflate(model, small_resnet, mode="mean")
    inflated = model.get_layer("stage2_block1").convs[1].get_weights()[0]
    np.testing.assert_allclose(inflated, np.stack([kernel / 3] * 3), rtol=1e-6)
    inflate(model, small_resnet, mode="centre")
    inflated = model.get_layer("stage2_block1").convs[1].get_weights()[0]
    np.testing.assert_array_equal(inflated, np.stack([0 * kernel, kernel, 0 * kernel]))


def test_a_checkpoint_file_and_prefixed_names(small_resnet, tmp_path):
    safetensors = pytest.importorskip(
        "safetensors.numpy", reason="needs safetensors: make test EXTRAS=dev,backends"
    )
    path = tmp_path / "resnet.safetensors"
    safetensors.save_file({f"module.{key}": value for key, value in small_resnet.items()}, path)
    model, other = small_resnet3d(), small_resnet3d()
    report = inflate(model, path)
    inflate(other, small_resnet)
    assert report.source == "resnet.safetensors"
    for mine, theirs in zip(model.layers[:-1], other.layers[:-1], strict=True):
        for left, right in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def small_densenet():
    """A DenseNet of two blocks of one layer."""
    rng = np.random.default_rng(3)
    weights = {}
    torch_layer(rng, weights, "features.conv0", 8, 3, 7)
    torch_norm(rng, weights, "features.norm0", 8)
    for block, channels in ((1, 8), (2, 6)):
        name = f"features.denseblock{block}.denselayer1"
        torch_norm(rng, weights, f"{name}.norm1", channels)
        torch_layer(rng, weights, f"{name}.conv1", 16, channels, 1)
        torch_norm(rng, weights, f"{name}.norm2", 16)
        torch_layer(rng, weights, f"{name}.conv2", 4, 16, 3)
    torch_norm(rng, weights, "features.transition1.norm", 12)
    torch_layer(rng, weights, "features.transition1.conv", 6, 12, 1)
    torch_norm(rng, weights, "features.norm5", 10)
    return {key: np.asarray(value, "float32") for key, value in weights.items()}


SMALL_DENSENET = {
    "input_shape": (16, 32, 32, 3),
    "num_classes": 2,
    "block_layers": (1, 1),
    "growth_rate": 4,
    "stem_filters": 8,
}


def test_densenet_of_torchvision_in_both_spellings(small_densenet):
    model = DenseNet3D(**SMALL_DENSENET)
    old_names = {key: re.sub(r"(layer1\.\w+)([12])\.", r"\1.\2.", key) for key in small_densenet}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old_names.values()
    older = {old_names[key]: value for key, value in small_densenet.items()}
    for spelling in (small_densenet, older):
        report = inflate(model, spelling, mode="centre")
        assert report.fresh == ("logits",)
        assert report.unused == ()
        assert report.notes == ()
    # Which weight went where is what the dense network of Keras shows; here, one each.
    norm1, conv1, norm2, conv2 = model.get_layer("block2").dense_layers[0]
    name = "features.denseblock2.denselayer1"
    for norm, theirs in ((norm1, "norm1"), (norm2, "norm2")):
        keys = ("weight", "bias", "running_mean", "running_var")
        for mine, key in zip(norm.get_weights(), keys, strict=True):
            np.testing.assert_array_equal(mine, small_densenet[f"{name}.{theirs}.{key}"])
    for mine, theirs in ((conv1, "conv1"), (conv2, "conv2")):
        kernel = small_densenet[f"{name}.{theirs}.weight"].transpose(2, 3, 1, 0)
        centre = mine.get_weights()[0][mine.kernel_size[0] // 2]
        np.testing.assert_array_equal(centre, kernel)


# What is reported.


def test_the_report_is_a_table(small_resnet):
    report = inflate(small_resnet3d(name="small"), small_resnet)
    assert str(report).splitlines() == [
        "small from torchvision weights, mode 'mean'",
        "layers            inflated   fresh",
        "stem                     2       0",
        "stage1                   8       0",
        "stage2                  14       0",
        "logits                   0       1",
        "total                   24       1",
        "unused of the 2D network: 1, fc",
    ]


def test_what_has_no_counterpart_is_fresh_and_said(small_resnet):
    report = inflate(small_resnet3d(stc="residual"), small_resnet)
    assert "stage1_block1/stc" in report.fresh
    assert "STC" in report.notes[0]


def test_a_stem_without_its_pool_is_said(small_resnet):
    report = inflate(small_resnet3d(stem_pool_stride=None), small_resnet)
    assert report.inflated[:2] == ("stem/conv", "stem/bn")
    assert report.unused == ("fc",)
    assert "stem" in report.notes[0]


def test_shortcuts_without_weights_leave_projections_unused():
    weights = torch_resnet((1, 1), (16, 32), bottleneck=True)
    options = {"stage_blocks": (1, 1), "stage_filters": (16, 32), "shortcut": "zero_padding"}
    report = inflate(small_resnet3d(**options), weights)
    assert "layer2.0.downsample.0" in report.unused
    assert "zero padded" in report.notes[0]


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "authors_code", "stem_pool_stride": (1, 2, 2)},
        {"transition_depths": [(3, 1)]},
    ],
)
def test_t3d_ends_where_the_first_branch_does_not_come_first(small_densenet, options):
    model = T3D(**SMALL_DENSENET, transition_filters=6, **options)
    report = inflate(model, small_densenet)
    assert "transition1/depth1_conv" in report.inflated
    assert {"transition1/depth3_conv", "block2/layer1_bn1", "final_bn"} < set(report.fresh)
    assert "after block1" in report.notes[0]


def test_t3d_with_wider_branches_takes_no_transition(small_densenet):
    report = inflate(T3D(**SMALL_DENSENET, transition_filters=8), small_densenet)
    assert "block1/layer1_conv2" in report.inflated
    assert "transition1/depth1_conv" in report.fresh
    assert "features.transition1.conv" in report.unused


# What is refused, before any weight changes.


ODD_SPEC = ClipSpec(num_frames=8, resize=36, crop=32, mean=(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "center"}, r"`mode`.*'center'"),
        ({"source": 5}, r"`source`.*5"),
        ({"source": {"blocks.0.weight": np.zeros(3)}}, r"blocks\.0"),
        ({"without": "layer2.1.bn2"}, r"stage2_block2/bn2"),
        ({"model": {"stem_middle_filters": 9}}, r"space_conv"),
        ({"model": {"clip_spec": ODD_SPEC}}, r"mean=\(0\.485, 0\.456, 0\.406\)"),
        ({"without": "layer2.1"}, r"\(1, 1\).*\(1, 2\)"),
        ({"extra": {"layer1.0.se.weight": np.zeros(3)}}, r"layer1\.0\.se"),
        ({"extra": {"conv1.weight": np.zeros((64, 3, 7, 7, 7))}}, r"conv1.*7, 7, 7"),
        ({"extra": {"conv1.weight": np.zeros((64, 1, 7, 7))}}, r"\(7, 7, 7, 3, 64\)"),
        ({"model": {"block": "basic"}}, r"bottleneck.*basic"),
        ({"model": {"stage_filters": (8, 32)}}, r"stage2_block1/conv1.*\(1, 1, 1, 32, 32\)"),
        ({"model": {"stem_kernel": (3, 5, 5)}}, r"stem/conv.*\(3, 5, 5, 3, 64\)"),
    ],
)
def test_wrong_pairs_change_nothing(small_resnet, change, message):
    model = small_resnet3d(**change.get("model", {}))
    weights = {
        key: value
        for key, value in {**small_resnet, **change.get("extra", {})}.items()
        if not key.startswith(change.get("without", "none"))
    }
    before = values_of(model)
    with pytest.raises(InvalidArgumentError, match=message):
        inflate(model, change.get("source", weights), change.get("mode", "mean"))
    for old, new in zip(before, values_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.export
def test_other_kinds_of_networks_are_refused(small_resnet, densenet121):
    dense = T3D(input_shape=(16, 32, 32, 3), num_classes=2, block_layers=(1, 1))
    with pytest.raises(InvalidArgumentError, match=r"\(1, 1\)"):
        inflate(dense, small_resnet)
    with pytest.raises(InvalidArgumentError, match=r"\(6, 12, 24, 16\)"):
        inflate(dense, densenet121)
    inputs = keras.Input((4, 8, 8, 3))
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(inputs)
    other = VideoClassifier(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(InvalidArgumentError, match="`model`"):
        inflate(other, small_resnet)

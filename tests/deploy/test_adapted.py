"""Layers that Keras has adapted after the model was built: LoRA and `quantize`."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_t3d import models
from keras_t3d.deploy import (
    SavedModelOptions,
    UnsupportedLayerError,
    export_saved_model,
    export_tflite,
)
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.lowering import lower
from keras_t3d.layers import ClipNormalization
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn
from tests.deploy.networks import answers, assert_close, clips_for, randomize, small_network

pytestmark = pytest.mark.export


@keras.saving.register_keras_serializable(package="tests")
class PlainConvolutions(CompositeLayer):
    """A composite layer of Keras's own layers."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.first = layers.Conv3D(filters, 3, padding="same", activation="relu")
        self.second = layers.Conv3D(filters, (1, 3, 3), groups=2)

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(self.first.compute_output_shape(input_shape))
        self.built = True

    def compose(self, run, clips):
        return run(InTurn([self.first, self.second]), [], [clips])


def adapted_everywhere(dtype=None):
    """Convolutions in a composite layer and a nested model, and dense layers, with LoRA."""
    inner_input = keras.Input((4, 10, 10, 4))
    x = layers.Conv3D(4, 3, padding="same", dtype=dtype)(inner_input)
    inner = keras.Model(inner_input, layers.BatchNormalization(dtype=dtype)(x))
    inputs = keras.Input((4, 12, 12, 3))
    x = inner(PlainConvolutions(4, dtype=dtype)(ClipNormalization(dtype=dtype)(inputs)))
    x = layers.GlobalAveragePooling3D(name="embedding", dtype=dtype)(x)
    x = layers.Dense(5, activation="relu", dtype=dtype)(x)
    model = randomize(models.VideoClassifier(inputs, layers.Dense(3, dtype=dtype)(x)))
    rng = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if isinstance(layer, (layers.Dense, layers.Conv3D)):
            layer.enable_lora(2, lora_alpha=3)
            layer.lora_kernel_b.assign(rng.normal(0, 0.3, layer.lora_kernel_b.shape))
    return model


@pytest.mark.parametrize("policy", [None, "mixed_bfloat16"])
def test_lora_is_part_of_the_kernel(policy):
    exact = adapted_everywhere()
    model = adapted_everywhere(policy)
    model.set_weights(exact.get_weights())
    clips = clips_for(model, 2)
    expected = answers(exact, clips)
    assert_close(fold(model)(clips), expected)
    for clip, logits in zip(clips, expected, strict=True):
        assert_close(lower(model)(clip.astype("float32")), logits[None])


@pytest.mark.parametrize("build", [adapted_everywhere, small_network])
def test_lora_survives_saving(build, tmp_path):
    model = build()
    if build is small_network:
        model.get_layer("logits").enable_lora(2, lora_alpha=1)
        model.get_layer("logits").lora_kernel_b.assign(np.full((2, 6), 0.1))
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    clips = clips_for(model, 2)
    assert_close(answers(again, clips), answers(model, clips))
    head, loaded = model.layers[-1], again.layers[-1]
    assert loaded.lora_enabled
    assert loaded.lora_rank == head.lora_rank
    if build is small_network:  # Keras itself forgets the alpha, and layers inside of layers
        assert loaded.lora_alpha == head.lora_alpha
        assert len(again.trainable_weights) == len(model.trainable_weights)


@pytest.mark.export
def test_lora_is_exported(tmp_path):
    model = adapted_everywhere("mixed_float16")
    clips = clips_for(model, 3)
    for frozen in (True, False):
        options = SavedModelOptions(frozen=frozen)
        report = export_saved_model(model, tmp_path / "lora", clips, options=options)
        assert report.largest_difference < 1e-6
    report = export_tflite(model, tmp_path / "lora.tflite", calibration=clips)
    assert report.largest_difference < 1e-6


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantized_network_is_saved(mode, tmp_path):
    model = small_network()
    model.quantize(mode)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    clips = clips_for(model, 2)
    np.testing.assert_array_equal(answers(again, clips), answers(model, clips))
    assert again.get_layer("logits").quantization_mode == mode


@pytest.mark.export
@pytest.mark.parametrize(
    "mode", ["int8", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("int4", "float8"))]
)
def test_a_quantized_layer_in_exports(mode, tmp_path):
    model = small_network()
    model.get_layer("logits").quantize(mode)
    clips = clips_for(model, 2)
    for frozen in (True, False):
        options = SavedModelOptions(frozen=frozen)
        report = export_saved_model(model, tmp_path / "serving", clips, options=options)
        assert report.largest_difference < 1e-5
    with pytest.raises(UnsupportedLayerError, match=f"'logits'.*{mode}.*`quantize`"):
        export_tflite(model, tmp_path / "a.tflite", calibration=clips)
    assert not (tmp_path / "a.tflite").exists()

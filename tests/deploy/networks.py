"""Small models whose predictions differ between wrong and right graphs, and clips for them."""

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d import models
from keras_t3d.clips import ClipSpec
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn

NAMES = ("walk", "run", "jump é", "sit", "stand", "turn")
SPEC = ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)


def small_network(class_names=NAMES, dtype=None):
    """A T3D for clips of 8x32x32, two frames apart, from frames resized to 36."""
    network = models.T3D(
        input_shape=SPEC.input_shape,
        num_classes=len(class_names),
        block_layers=(1, 1),
        growth_rate=16,
        bottleneck_factor=2,
        stem_filters=24,
        stem_kernel=(3, 5, 5),
        transition_filters=32,
        name="t3d_small",
        class_names=class_names,
        clip_spec=SPEC,
        dtype=dtype,
    )
    return randomize(network)


def grouped_network():
    """A ResNeXt with channel correlations."""
    network = models.ResNet3D(
        input_shape=(8, 24, 24, 3),
        num_classes=4,
        block="bottleneck",
        stage_blocks=(1, 1),
        stage_filters=(16, 32),
        expansion=2,
        groups=4,
        stem_filters=8,
        stc="residual",
    )
    return randomize(network)


def softmax_network():
    """A network of two classes that returns probabilities."""
    inputs = keras.Input(SPEC.input_shape)
    x = keras.layers.Conv3D(4, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    outputs = keras.layers.Dense(2, activation="softmax")(x)
    return models.VideoClassifier(inputs, outputs, SPEC)


class NormalizedConv3D(CompositeLayer):
    """A composite layer that is not one of the package's: BN - ReLU over a convolution."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = ClipConv3D(filters, 3, name="conv")
        self.bn = ClipBatchNormalization("relu", name="bn")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.bn.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def compose(self, run, clips):
        layers = [self.conv, self.bn]
        return run(InTurn(layers), layers, [clips])


class DoubledComposite(NormalizedConv3D):
    """A composite layer whose call differs from its parts."""

    def call(self, clips, training=None):
        return 2 * super().call(clips, training)


def functional(shape, *network):
    """Layers one after the other as a model for inputs of a shape."""
    inputs = keras.Input(shape)
    x = inputs
    for layer in network:
        x = layer(x)
    return randomize(keras.Model(inputs, x))


def randomize(model, seed=0):
    """Sets weights from a seed: significant statistics and biases, and confident predictions."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean", "bias")):
            weight.assign(rng.normal(0.0, 0.5, weight.shape))
        elif len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(rng.normal(0.0, (2 / fan_in) ** 0.5, weight.shape))
    return model


def clips_for(model, num_clips):
    """uint8 clips of noise."""
    shape = (num_clips, *model.inputs[0].shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def answers(model, clips):
    """Returns the Keras model's output in inference."""
    return keras.ops.convert_to_numpy(model(clips.astype("float32"), training=False))


def assert_close(actual, expected, tolerance=1e-5):
    """Compares relative to the largest value, as small ones are differences of large ones."""
    bound = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


def types_of(content, kind):
    """Returns the output types of a kind of operation, in the order of computation."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = model.subgraphs
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    codes = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
    return [
        graph.tensors[operation.outputs[0]].type
        for operation in graph.operators
        if codes[operation.opcodeIndex] == kind
    ]

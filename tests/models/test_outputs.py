"""What the outputs of a network are, found from its end, for every form that a head may have."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipConv3D, ClipNormalization
from keras_t3d.models import T3DTiny, VideoClassifier
from keras_t3d.optimization import CrossEntropy


def network(head, **options):
    """A network of three classes whose end is `head`, a function of the feature map."""
    inputs = keras.Input((4, 16, 16, 3))
    x = layers.Conv3D(8, 3, strides=4, activation="relu")(ClipNormalization()(inputs))
    return VideoClassifier(inputs, head(x), **options)


def pooled(*ends):
    """A head of layers and functions one after the other, on the pooled features."""

    def head(x):
        x = layers.GlobalAveragePooling3D(name="embedding")(x)
        for end in ends:
            x = end(x)
        return x

    return head


def dense(activation=None, dtype=None):
    return layers.Dense(3, activation=activation, dtype=dtype)


def nested(activation):
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(3, activation=activation)(inputs))


def average_of(activation):
    return lambda x: layers.Average()([layers.Dense(3, activation=activation)(x) for _ in "ab"])


class OwnHead(layers.Layer):
    """A head with weights of its own, whose code does not tell what it computes."""

    def __init__(self, activation=None, kernel_initializer="glorot_uniform"):
        super().__init__()
        self.dense = layers.Dense(3, activation, kernel_initializer=kernel_initializer)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return self.dense(x)


PROBABILITIES = {
    "dense": pooled(dense("softmax")),
    "function as activation": pooled(dense(ops.softmax)),
    "lambda as activation": pooled(dense(lambda x: ops.softmax(x / 2))),
    "layer": pooled(dense(), layers.Softmax()),
    "activation layer": pooled(dense(), layers.Activation("softmax")),
    "operation": pooled(dense(), ops.softmax),
    "temperature": pooled(dense(), lambda x: ops.softmax(x / 3.0)),
    "linear after": pooled(dense("softmax"), layers.Activation("linear"), layers.Identity()),
    "reshaped": pooled(dense("softmax"), layers.Reshape((3, 1)), layers.Flatten()),
    "dropout after": pooled(dense("softmax"), layers.Dropout(0.5)),
    "cast": pooled(dense(), lambda x: ops.cast(ops.softmax(x), "float32")),
    "clipped": pooled(dense("softmax"), lambda x: ops.clip(x, 1e-7, 1.0)),
    "clipped to 0.01": pooled(dense("softmax"), lambda x: ops.clip(x, 0.01, 1.0)),
    "by hand": pooled(dense(), ops.exp, lambda x: x / ops.sum(x, axis=-1, keepdims=True)),
    "average": pooled(average_of("softmax")),
    "nested": pooled(nested("softmax")),
    "by keyword": pooled(lambda x: layers.Softmax()(inputs=nested(None)(inputs=x))),
    "sequential": pooled(keras.Sequential([keras.Input((8,)), dense(), layers.Softmax()])),
    "convolution": lambda x: layers.Flatten()(
        layers.Conv3D(3, 1, activation="softmax")(layers.GlobalAveragePooling3D(keepdims=True)(x))
    ),
    "mean over positions": lambda x: layers.GlobalAveragePooling3D()(
        layers.Conv3D(3, 1, activation="softmax")(x)
    ),
    "bfloat16": pooled(dense("softmax", "mixed_bfloat16")),
    "own layer": pooled(OwnHead("softmax")),
    "own layer of zeros": pooled(OwnHead("softmax", kernel_initializer="zeros")),
}
LOGITS = {
    "dense": pooled(dense()),
    "linear": pooled(dense("linear"), layers.Activation("linear", dtype="float32")),
    "temperature": pooled(dense(), lambda x: x / 3.0),
    "rescaled": pooled(dense(), layers.Rescaling(4.0)),
    "log_softmax": pooled(dense("log_softmax")),
    "zeros": pooled(layers.Dense(3, kernel_initializer="zeros")),
    "normalized": pooled(dense(), layers.BatchNormalization()),
    "normalized to zero": pooled(dense(), layers.BatchNormalization(gamma_initializer="zeros")),
    "average": pooled(average_of(None)),
    "convolution": lambda x: layers.GlobalAveragePooling3D()(ClipConv3D(3, 1)(x)),
    "bfloat16": pooled(dense(None, "mixed_bfloat16")),
}
SCORES = {
    "dense": pooled(dense("sigmoid")),
    "hard": pooled(dense("hard_sigmoid")),
    "layer": pooled(dense(), layers.Activation("sigmoid")),
    "operation": pooled(dense(), ops.sigmoid),
    "wrong axis": pooled(dense(), layers.Softmax(axis=0)),
    "one": pooled(layers.Dense(1, activation="sigmoid")),
}
UNKNOWN = {
    "own layer": pooled(OwnHead()),
    "own layer of zeros": pooled(OwnHead(kernel_initializer="zeros")),
    "constant": pooled(dense(), ops.zeros_like),
    "features": pooled(layers.Activation("linear")),
    "relu": pooled(dense("relu")),
    "scaled probabilities": pooled(dense("softmax"), layers.Rescaling(100.0)),
    "tanh": pooled(dense("tanh")),
}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(head, expected, id=f"{expected}-{name}")
        for expected, heads in (
            ("probabilities", PROBABILITIES),
            ("logits", LOGITS),
            ("scores", SCORES),
            (None, UNKNOWN),
        )
        for name, head in heads.items()
    ],
)
def test_the_end_of_a_network_tells_its_outputs(head, expected):
    assert network(head).outputs_are == expected


def test_named_networks_return_logits():
    assert T3DTiny((8, 32, 32, 3), num_classes=3).outputs_are == "logits"


@pytest.mark.parametrize("kind", ["logits", "probabilities", "scores"])
def test_what_the_network_does_not_tell_is_declared_and_saved(kind, tmp_path):
    model = network(UNKNOWN["tanh"], outputs_are=kind)
    model.save(tmp_path / "declared.keras")
    assert keras.saving.load_model(tmp_path / "declared.keras").outputs_are == kind
    model.outputs_are = None
    assert model.outputs_are is None


def test_a_named_network_keeps_what_is_declared(tmp_path):
    model = T3DTiny((8, 32, 32, 3), num_classes=3)
    model.outputs_are = "scores"
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    model.save(tmp_path / "labels.keras")
    assert keras.saving.load_model(tmp_path / "labels.keras").outputs_are == "scores"


@pytest.mark.parametrize(
    ("head", "declared"),
    [
        (PROBABILITIES["layer"], "logits"),
        (LOGITS["dense"], "probabilities"),
        (SCORES["dense"], "logits"),
        (LOGITS["dense"], "softmax"),
    ],
)
def test_a_declaration_that_the_network_contradicts_is_refused(head, declared):
    with pytest.raises(InvalidArgumentError, match=f"Received: '{declared}'") as error:
        network(head, outputs_are=declared)
    assert error.value.argument == "outputs_are"


@pytest.mark.parametrize("head", [SCORES["dense"], SCORES["one"], UNKNOWN["own layer"]])
def test_other_outputs_than_of_one_class_of_many_are_refused(head):
    model = network(head)
    with pytest.raises(InvalidArgumentError, match="Received: ") as error:
        model.check_classifies()
    assert error.value.argument == "model"
    with pytest.raises(InvalidArgumentError, match="Received: 'auto'") as error:
        model.compile("sgd")
    assert error.value.argument == "loss"


def test_a_single_logit_is_refused():
    with pytest.raises(InvalidArgumentError, match="a single score"):
        network(pooled(layers.Dense(1))).check_classifies()


CLIPS = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3)).astype("uint8")
IDS = np.array([0, 1, 2, 0])


@pytest.mark.parametrize("labels", [IDS, np.eye(3, dtype="float32")[IDS]])
def test_the_default_loss_reads_probabilities(labels):
    model = network(PROBABILITIES["layer"])
    model.compile("sgd")
    expected = -np.log(np.asarray(model(CLIPS))[np.arange(4), IDS]).mean()
    assert model.evaluate(CLIPS, labels, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.BinaryCrossentropy(from_logits=True),
    ],
)
def test_losses_of_logits_are_refused_for_probabilities(loss):
    with pytest.raises(InvalidArgumentError, match="Received: ") as error:
        network(PROBABILITIES["operation"]).compile("sgd", loss)
    assert error.value.argument == "loss"


def test_a_loss_of_labels_on_logits_asks_for_a_declaration():
    model, loss = network(LOGITS["dense"]), keras.losses.BinaryCrossentropy(from_logits=True)
    with pytest.raises(InvalidArgumentError, match="outputs_are = 'scores'"):
        model.compile("sgd", loss)
    for declared in ("scores", "logits"):  # "logits" for one class of many, one loss for each
        model.outputs_are = declared
        model.compile("sgd", loss)


LOGITS_OF_LABELS = keras.losses.BinaryCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("head", "declared", "loss", "right"),
    [
        (SCORES["dense"], None, LOGITS_OF_LABELS, r"BinaryCrossentropy\(\)"),
        (SCORES["layer"], "scores", LOGITS_OF_LABELS, r"BinaryCrossentropy\(\)"),
        (SCORES["dense"], None, CrossEntropy(), r"BinaryCrossentropy\(\)"),
        (
            LOGITS["dense"],
            "scores",
            "binary_crossentropy",
            r"BinaryCrossentropy\(from_logits=True\)",
        ),
        (LOGITS["dense"], "scores", "kl_divergence", r"BinaryCrossentropy\(from_logits=True\)"),
    ],
)
def test_losses_that_misread_labels_are_refused(head, declared, loss, right):
    model = network(head, outputs_are=declared)
    with pytest.raises(InvalidArgumentError, match=f"pass loss=keras.losses.{right}") as error:
        model.compile("sgd", loss)
    assert error.value.argument == "loss"


def test_losses_that_read_labels_are_accepted():
    network(SCORES["dense"]).compile("sgd", "binary_crossentropy")
    network(LOGITS["dense"], outputs_are="scores").compile("sgd", LOGITS_OF_LABELS)
    for loss in (LOGITS_OF_LABELS, "binary_crossentropy"):  # the network does not tell
        network(UNKNOWN["own layer"], outputs_are="scores").compile("sgd", loss)

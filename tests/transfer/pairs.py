"""A tiny teacher, student and batch that the tests of transfer share."""

import keras
import numpy as np

import keras_t3d
from keras_t3d.transfer import FrameTeacher

CLIP = (4, 16, 16, 3)


def tiny_teacher(width=6, seed=0):
    """A convolution and a batch norm whose statistics are not the initial ones."""
    network = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(width, 3, strides=2, activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="stills",
    )
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        if variable.dtype == "float32":
            variable.assign(rng.uniform(0.2, 1.0, variable.shape))
    return FrameTeacher(network, "tf")


def tiny_student(seed=0, **options):
    keras.utils.set_random_seed(seed)
    options = {"num_classes": 3, **options}
    return keras_t3d.models.create(
        "t3d_tiny",
        input_shape=CLIP,
        block_layers=[1],
        growth_rate=4,
        stem_filters=8,
        transition_filters=4,
        **options,
    )


def batch(videos, seed=0):
    clips = np.random.default_rng(seed).integers(0, 256, (len(videos), *CLIP), dtype=np.uint8)
    return {"clips": clips, "videos": np.array(videos, np.int32)}


def values_of(model):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]

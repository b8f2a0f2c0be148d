"""The smallest runs that the tests of training share."""

import yaml

from keras_t3d.training.command_line import config_parser, parse_config
from keras_t3d.training.config import TrainConfig

TINY = {
    "model": {
        "name": "t3d_tiny",
        "options": {
            "block_layers": [1],  # each further block is a second of tracing
            "growth_rate": 4,
            "stem_filters": 4,
            "transition_filters": 4,
        },
    },
    "clip": {"num_frames": 4, "frame_stride": 1, "resize": 20, "crop": 16},
    "data": {"validation_split": "test", "batch_size": 5, "augmentation": {"crop": "random"}},
    "optimizer": {"learning_rate": 0.05, "warmup_epochs": 1},
    "epochs": 3,
}
TINY_PRETRAINING = {
    **TINY,
    "teacher": {"preprocessing": "zero_one"},
    "objective": {"features": 16, "hidden": [16, 8], "contrast_features": 8},
    "epochs": 2,
}


def read(path, *flags, config_class=TrainConfig):
    words = ["--config", str(path), *flags]
    return parse_config(config_parser(config_class=config_class), words, config_class)[0]


def write_config(path, shards):
    """Writes TINY for shards as YAML; returns the path."""
    path.write_text(yaml.safe_dump({**TINY, "data": {**TINY["data"], "shards": str(shards)}}))
    return path


def write_pretraining(path, shards, teacher):
    """Writes TINY_PRETRAINING for shards and a saved teacher as YAML; returns the path."""
    said = {
        **TINY_PRETRAINING,
        "data": {**TINY["data"], "shards": str(shards)},
        "teacher": {**TINY_PRETRAINING["teacher"], "network": str(teacher)},
    }
    path.write_text(yaml.safe_dump(said))
    return path


def save_teacher(path):
    """Saves a 2D network of two layers with random weights; returns the path."""
    import keras

    keras.utils.set_random_seed(3)
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(images)
    x = keras.layers.BatchNormalization()(x)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="stills").save(path)
    return path

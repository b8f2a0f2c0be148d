"""The smallest run that the tests of training share."""

import yaml

from keras_t3d.training.command_line import config_parser, parse_config

TINY = {
    "model": {
        "name": "t3d_tiny",
        "options": {
            "block_layers": [1, 1],
            "growth_rate": 4,
            "stem_filters": 8,
            "transition_filters": 4,
        },
    },
    "clip": {"num_frames": 8, "frame_stride": 1, "resize": 36, "crop": 32},
    "data": {"validation_split": "test", "batch_size": 5, "augmentation": {"crop": "random"}},
    "optimizer": {"learning_rate": 0.05, "warmup_epochs": 1},
    "epochs": 4,
}


def read(path, *flags):
    return parse_config(config_parser(), ["--config", str(path), *flags])[0]


def write_config(path, shards):
    """Writes TINY for shards as YAML; returns the path."""
    path.write_text(yaml.safe_dump({**TINY, "data": {**TINY["data"], "shards": str(shards)}}))
    return path

"""Trains a network on clip shards with `model.fit`. Copy it as a starting point.

    python training/train.py --config motion --data.shards shards --run-dir runs/a

The options are those of `keras-t3d train`, which also writes checkpoints and resumes from them.
This script shows the steps: data, network, learner, `fit`, save, export.
"""

from __future__ import annotations

import pathlib
import sys

import keras_t3d  # noqa: F401 - before Keras, as it turns on oneDNN

# isort: split
import keras

from keras_t3d.data import ShardSet
from keras_t3d.deploy import export_saved_model
from keras_t3d.optimization import Learner, average_of_weights
from keras_t3d.training import (
    TensorBoardLog,
    TrainingProgress,
    config_parser,
    find_devices,
    network_for,
    new_loss,
    new_metrics,
    new_optimizer,
    parse_config,
    training_clips,
    training_reader,
    validation_clips,
)


def main() -> None:
    parser = config_parser(prog="training/train.py", description="Train on clip shards.")
    parser.add_argument("--run-dir", required=True, help="folder for the trained model")
    config, others = parse_config(parser, sys.argv[1:])
    run_dir = pathlib.Path(others["run_dir"])
    run_dir.mkdir(parents=True, exist_ok=True)
    devices = find_devices()
    keras.utils.set_random_seed(config.seed)

    # Data: random clips to train on, the centre views of the validation split.
    shards = ShardSet.open(config.data.shards)
    clips = training_clips(config, shards, devices)
    steps = training_reader(config, shards).steps_per_epoch

    # Network, optimizer, loss and metrics, on all GPUs.
    with devices.scope():
        network = network_for(config.model, config.clip_spec, shards.class_names)
        learner = Learner(network, accumulation=config.optimizer.accumulation)
        learner.compile(
            new_optimizer(config, network, steps),
            new_loss(config, shards),
            weighted_metrics=new_metrics(config, network.num_classes),
        )

    callbacks = [
        TrainingProgress(config.epochs, steps, config.data.batch_size),
        TensorBoardLog(run_dir / "tensorboard"),
    ]
    if config.optimizer.schedule == "plateau":
        factor, patience = config.optimizer.factor, config.optimizer.patience
        callbacks.append(keras.callbacks.ReduceLROnPlateau("val_cross_entropy", factor, patience))
    learner.fit(
        clips,
        steps_per_epoch=steps,
        epochs=config.epochs,
        validation_data=validation_clips(config, shards, devices),
        callbacks=callbacks,
        shuffle=False,  # the clips are shuffled already
        verbose=0,  # TrainingProgress shows more
    )

    for variable, average in average_of_weights(learner.optimizer):  # with optimizer.ema
        variable.assign(average)
    network.save(run_dir / "model.keras")
    export_saved_model(network, run_dir / "saved_model")
    print(f"Wrote {run_dir / 'model.keras'} and {run_dir / 'saved_model'}")


if __name__ == "__main__":
    main()

"""Pretrains a 3D network on unlabelled clips with a 2D network as teacher, with `model.fit`.

    python training/pretrain.py --config pretrain_motion --data.shards shards --run-dir runs/pre

The options are those of `keras-t3d pretrain`, which also writes checkpoints and resumes from them.
This script shows the steps: data, teacher, student, learner, `fit`, save.
"""

from __future__ import annotations

import pathlib
import sys

import keras_t3d  # noqa: F401 - before Keras, as it turns on oneDNN

# isort: split
import keras

from keras_t3d.data import ShardSet
from keras_t3d.training import (
    PretrainConfig,
    TrainingProgress,
    config_parser,
    find_devices,
    new_optimizer,
    new_student,
    new_teacher,
    new_transfer,
    parse_config,
    training_clips,
    training_reader,
)


def main() -> None:
    parser = config_parser(
        prog="training/pretrain.py",
        description="Pretrain on unlabelled clips.",
        config_class=PretrainConfig,
    )
    parser.add_argument("--run-dir", required=True, help="folder for the student")
    config, others = parse_config(parser, sys.argv[1:], PretrainConfig)
    run_dir = pathlib.Path(others["run_dir"])
    run_dir.mkdir(parents=True, exist_ok=True)
    devices = find_devices()
    keras.utils.set_random_seed(config.seed)

    # Data: clips with the number of their video; labels are not read.
    shards = ShardSet.open(config.data.shards)
    clips = training_clips(config, shards, devices)
    steps = training_reader(config, shards).steps_per_epoch

    # A frozen 2D teacher, a 3D student, and the objective that connects them.
    with devices.scope():
        teacher = new_teacher(config.teacher)
        student = new_student(config, teacher)
        learner = new_transfer(config, teacher, student)
        learner.compile(new_optimizer(config, student, steps))

    progress = TrainingProgress(
        config.epochs, steps, config.data.batch_size, accuracy=learner.metric_name
    )
    learner.fit(
        clips,
        steps_per_epoch=steps,
        epochs=config.epochs,
        callbacks=[progress],
        shuffle=False,  # the clips are shuffled already
        verbose=0,  # TrainingProgress shows more
    )
    student.save(run_dir / "student.keras")
    print(f"Wrote {run_dir / 'student.keras'}")
    print(f"Next: keras-t3d train --config RECIPE --init {run_dir / 'student.keras'} --run-dir DIR")


if __name__ == "__main__":
    main()

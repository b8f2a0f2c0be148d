"""Trains the study's 2D network, a DenseNet of the student's blocks, on single stills."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from transfer_settings import PERCENTS, Folders, Size, make_finetuning

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.layers import ClipNormalization
from keras_t3d.motion_set.generation import MOTION_CLASSES, motion_path
from keras_t3d.motion_set.rendering import Look, draw_video, random_look
from keras_t3d.training.network import student_for
from keras_t3d.transfer.inflation import inflate

_EPSILON = 1.001e-5  # of keras.applications
_READERS = 2  # threads that decode
_LOOKS, _TRAINING, _HELD_OUT = 0, 1, 2  # random streams of one seed
_HELD_OUT_PER_LOOK = 50
_CANDIDATES = 256


def image_densenet(
    image_shape: Sequence[int],
    num_classes: int,
    block_layers: Sequence[int] = (6, 12, 24, 16),
    growth_rate: int = 32,
    bottleneck_factor: int = 4,
    stem_filters: int = 64,
    stem_kernel: Sequence[int] = (3, 7, 7),
) -> keras.Model:
    """Builds a 2D DenseNet that `inflate` accepts for the DenseNet3D with the same arguments.

    With the defaults it is `keras.applications.DenseNet121` with logits: layers have the names
    of that package.

    Args:
        image_shape: ints (height, width, 3).
        num_classes: int.
        block_layers: ints. Dense layers of each block.
        growth_rate: int. Channels that a dense layer adds.
        bottleneck_factor: int. See DenseNet3D.
        stem_filters: int.
        stem_kernel: ints (time, height, width), as DenseNet3D has them; of which the last counts.

    Returns:
        Keras model from images, normalised as `preprocess_input(..., mode="torch")` does, to
        logits.
    """
    inputs = keras.Input(tuple(image_shape), name="images")
    x = layers.ZeroPadding2D(stem_kernel[-1] // 2)(inputs)
    x = _convolution(stem_filters, stem_kernel[-1], "conv1_conv", strides=2, padding="valid")(x)
    x = _normalized(x, "conv1_bn")
    x = layers.MaxPooling2D(3, 2, name="pool1")(layers.ZeroPadding2D(1)(x))
    for index, num_layers in enumerate(block_layers, start=2):
        for number in range(1, num_layers + 1):
            name = f"conv{index}_block{number}"
            y = _normalized(x, f"{name}_0_bn")
            y = _convolution(bottleneck_factor * growth_rate, 1, f"{name}_1_conv")(y)
            y = _convolution(growth_rate, 3, f"{name}_2_conv")(_normalized(y, f"{name}_1_bn"))
            x = layers.Concatenate(name=f"{name}_concat")([x, y])
        if index <= len(block_layers):
            x = _normalized(x, f"pool{index}_bn")
            x = _convolution(x.shape[-1] // 2, 1, f"pool{index}_conv")(x)
            x = layers.AveragePooling2D(2, 2, name=f"pool{index}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(_normalized(x, "bn"))
    outputs = layers.Dense(num_classes, name="predictions")(x)
    return keras.Model(inputs, outputs, name="stills")


def _convolution(filters: int, kernel: int, name: str, **options: Any) -> Any:
    options = {"padding": "same", **options}
    initializer = "he_normal"
    return layers.Conv2D(
        filters, kernel, use_bias=False, kernel_initializer=initializer, name=name, **options
    )


def _normalized(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON, name=name)(x)
    return layers.ReLU(name=f"{name.removesuffix('bn')}relu")(x)


def teacher_for(size: Size, num_classes: int) -> keras.Model:
    """Builds the teacher of a size, with random weights."""
    names = ("block_layers", "growth_rate", "bottleneck_factor", "stem_filters", "stem_kernel")
    options = {name: size.options[name] for name in names if name in size.options}
    return image_densenet((*ClipSpec(**size.clip).crop_size, 3), num_classes, **options)


def train_teacher(folders: Folders, size: Size, real: bool) -> dict[str, Any]:
    """Trains a teacher and writes it, with `teacher.json` beside it; reads an existing one.

    Args:
        folders: folders of the dataset, size and seed.
        size: size of clips and networks.
        real: take stills from training videos, with the videos' classes; otherwise draw them.

    Returns:
        Dict of what the stills are (`stills`), `classes`, top-1 of `held_out` stills, and for
        real ones `test`, top-1 of the middle frame of the test videos.
    """
    said = folders.teacher.with_suffix(".json")
    if said.is_file():
        return json.loads(said.read_text(encoding="utf-8"))
    keras.utils.set_random_seed(folders.seed)
    facts = (_train_on_frames if real else _train_on_looks)(folders, size)
    write_text(said, json.dumps(facts, indent=1) + "\n")  # last: the teacher is there, too
    return facts


def _train_on_frames(folders: Folders, size: Size) -> dict[str, Any]:
    ours, spec = size.teacher, _still_spec(size)
    windows = Augmentation(
        crop=size.pretraining["data.augmentation.crop"],
        min_area=size.pretraining["data.augmentation.min_area"],
        flip=size.pretraining["data.augmentation.flip"],
    )
    stills = ClipReader(
        folders.choosing,
        "train",
        spec,
        ours.batch_size,
        training=True,
        seed=folders.seed,
        augmentation=windows,
    ).as_py_dataset(workers=_READERS)
    names = ShardSet.open(folders.choosing).class_names
    network, trained = _fitted(size, len(names), stills.steps_per_epoch, x=stills, shuffle=False)
    _save(network, folders.teacher)

    def top1(shards: Path, split: str) -> float:
        middle_frames = ClipReader(shards, split, spec, ours.batch_size).as_py_dataset()
        return trained.evaluate(middle_frames, verbose=0, return_dict=True)["top1"]

    return {
        "stills": "frames of the training videos but the held-out films', by the videos' classes",
        "classes": len(names),
        "held_out": top1(folders.choosing, "val"),
        "test": top1(folders.final, "test"),
    }


def _train_on_looks(folders: Folders, size: Size) -> dict[str, Any]:
    ours = size.teacher
    if ours.looks is None or size.drawn is None:
        raise ValueError(f"Drawn stills need `looks` and `drawn`. Received: {size}")
    side, spec, seed = size.drawn.side, _still_spec(size), folders.seed
    stills, labels = draw_stills(ours.looks, ours.per_look, side, spec, seed, _TRAINING)
    steps = len(stills) // ours.batch_size
    network, trained = _fitted(
        size, ours.looks, steps, x=stills, y=labels, batch_size=ours.batch_size
    )
    _save(network, folders.teacher)
    held_out = draw_stills(ours.looks, _HELD_OUT_PER_LOOK, side, spec, seed, _HELD_OUT)
    figures = trained.evaluate(*held_out, verbose=0, return_dict=True)
    return {
        "stills": f"{ours.looks} outlines with patterns, {ours.per_look} drawings of each in "
        "random colours, places, angles and sizes",
        "classes": ours.looks,
        "held_out": figures["top1"],
    }


def draw_stills(
    looks: int, per_look: int, side: int, spec: ClipSpec, seed: int, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws objects with fixed outlines and patterns as the motion set draws its frames.

    Args:
        looks: int. Outlines with patterns, which follow from the seed alone.
        per_look: int. Stills of each.
        side: int. Pixels of a drawn frame's side.
        spec: ClipSpec of one frame, whose centre view is taken.
        seed: int.
        stream: int. Another one gives other places, angles, sizes, colours and backgrounds.

    Returns:
        uint8 `(stills, *spec.input_shape)`, and int64 `(stills,)`: which look.
    """
    fixed = distinct_looks(looks, np.random.default_rng([seed, _LOOKS]))
    rng = np.random.default_rng([seed, stream])
    labels = np.tile(np.arange(looks), per_look)
    stills = np.empty((len(labels), *spec.input_shape), np.uint8)
    for index, label in enumerate(labels):
        path = motion_path(MOTION_CLASSES[0], 1, rng)  # one frame is the same for all classes
        stills[index] = take_view(draw_video(path, side, rng, fixed[label]), spec)
    return stills, labels


def distinct_looks(count: int, rng: np.random.Generator) -> list[Look]:
    """Chooses looks that differ, because most random ones are too similar to distinguish.

    Outlines are compared by the number of their bulges, patterns by their wave lengths; place,
    angle, size and colours vary between drawings and do not count.

    Args:
        count: int.
        rng: generator.
    """
    candidates = [random_look(rng) for _ in range(_CANDIDATES)]
    seen = np.stack([_seen(look) for look in candidates])
    seen /= seen.std(0)
    chosen = [0]
    while len(chosen) < count:  # each the farthest from all before
        distances = np.linalg.norm(seen[:, None] - seen[chosen], axis=2).min(1)
        chosen.append(int(distances.argmax()))
    return [candidates[index] for index in chosen]


def _seen(look: Look) -> np.ndarray:
    lobes = np.abs(np.fft.rfft(look.outline))[:6] / len(look.outline)
    return np.concatenate([lobes, np.linalg.norm(look.waves, axis=1)])


def _still_spec(size: Size) -> ClipSpec:
    return dataclasses.replace(ClipSpec(**size.clip), num_frames=1, frame_stride=1)


def _fitted(
    size: Size, num_classes: int, steps: int, **data: Any
) -> tuple[keras.Model, keras.Model]:
    """Returns the trained 2D network, and the same network for clips of one frame."""
    ours, spec = size.teacher, _still_spec(size)
    network = teacher_for(size, num_classes)
    stills = keras.Input(spec.input_shape, name="clips")
    images = layers.Reshape((*spec.crop_size, 3))(ClipNormalization()(stills))  # mode "torch"
    trained = keras.Model(stills, network(images))
    rate = keras.optimizers.schedules.CosineDecay(ours.learning_rate, ours.epochs * steps)
    trained.compile(
        keras.optimizers.AdamW(rate, weight_decay=ours.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("top1")],
        # XLA takes long to compile and gains nothing on a CPU; JAX is nothing without it.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    trained.fit(**data, epochs=ours.epochs, verbose=2)
    return network, trained


def _save(network: keras.Model, path: Path) -> None:
    with written_beside(path) as part:
        network.save(part)


def save_inflated(folders: Folders, size: Size) -> None:
    """Writes the student that starts from the teacher's weights, unless it exists."""
    if folders.inflated.is_file():
        return
    config = make_finetuning(size, PERCENTS[-1], folders.final, folders.seed)
    student = student_for(config.model, config.clip_spec)
    print(inflate(student, keras.saving.load_model(folders.teacher, compile=False)))
    with written_beside(folders.inflated) as part:
        student.save(part)

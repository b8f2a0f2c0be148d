"""Builds our networks and their PyTorch twins with the same weights, and the clips that both read.

`write` draws weights and clips and stores them in a folder, from which every contender's process
reads them; so each process needs only its own framework.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("t3d_121", "t3d_tiny", "resnet3d_18", "resnet3d_50", "resnext3d_50")
NUM_CLASSES = 400
LIMITS = {"float32": 1e-3, "bfloat16": 0.2}  # of the largest logit; 121 layers round


@dataclass(frozen=True)
class Job:
    """A network, and the clips it runs on.

    Args:
        folder: where `write` stores weights, clips, labels and the twin's logits.
        model: one of `NAMES`.
        input_shape: (frames, height, width, 3).
        batch: clips per batch.
        threads: threads of every framework.
    """

    folder: Path
    model: str
    input_shape: tuple[int, int, int, int]
    batch: int
    threads: int


def options(
    parser: argparse.ArgumentParser,
    contenders: Sequence[str],
    argv: list[str] | None,
    models: Sequence[str],
) -> argparse.Namespace:
    """Adds the options that select what is timed to those of a benchmark, and parses all.

    Args:
        parser: parser with the benchmark's own options.
        contenders: names of all contenders.
        argv: words of the command line; None reads `sys.argv`.
        models: models that are timed by default.
    """
    parser.add_argument("--models", nargs="+", choices=NAMES)
    parser.add_argument("--contenders", nargs="+", choices=contenders, default=contenders)
    parser.add_argument("--skip-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small networks and clips, 2 rounds")
    parsed = parser.parse_args(argv)
    if parsed.skip_compile:
        parsed.contenders = [n for n in parsed.contenders if not n.endswith("_compiled")]
    parsed.input_shape = (8, 32, 32, 3) if parsed.quick else (16, 112, 112, 3)
    if parsed.quick:
        parsed.rounds = 2
    if parsed.models is None:
        parsed.models = ("t3d_tiny", "resnet3d_18") if parsed.quick else models
    return parsed


def write(job: Job) -> None:
    """Draws weights and statistics of the PyTorch twin, and writes what contenders share."""
    import torch
    from torch_parts import randomize

    network = _new_torch_network(job.model)
    randomize(network, seed=0)
    np.savez(job.folder / "weights.npz", **{k: v.numpy() for k, v in network.state_dict().items()})
    random = np.random.default_rng(0)
    clips = random.integers(0, 256, (job.batch, *job.input_shape), np.uint8)
    np.save(job.folder / "clips.npy", clips)
    np.save(job.folder / "labels.npy", random.integers(0, NUM_CLASSES, job.batch))
    with torch.inference_mode():
        logits = network.eval()(torch_clips(job)[:1])
    np.save(job.folder / "logits.npy", logits.numpy())


def clips(job: Job) -> np.ndarray:
    """Returns uint8 clips of shape (batch, frames, height, width, 3)."""
    return np.load(job.folder / "clips.npy")[: job.batch]


def labels(job: Job) -> np.ndarray:
    """Returns a class for each clip."""
    return np.load(job.folder / "labels.npy")[: job.batch]


def difference(job: Job, logits: Any, precision: str) -> float:
    """Returns the difference of the first clip's logits from the twin's, relative to its largest.

    Raises:
        ValueError: if the difference exceeds `LIMITS[precision]`.
    """
    expected = np.load(job.folder / "logits.npy")
    error = np.abs(np.asarray(logits, np.float32) - expected).max() / np.abs(expected).max()
    if not error <= LIMITS[precision]:
        raise ValueError(f"its logits differ from the twin's by {error:.1e} of the largest")
    return float(error)


# PyTorch.


def torch_network(job: Job) -> Any:
    """Returns the twin with the written weights, in channels_last_3d."""
    import torch

    torch.set_num_threads(job.threads)
    network = _new_torch_network(job.model)
    weights = np.load(job.folder / "weights.npz")
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
    return network.to(memory_format=torch.channels_last_3d)


def torch_clips(job: Job) -> Any:
    """Returns normalized clips of shape (batch, 3, frames, height, width)."""
    import torch

    from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD

    mean, std = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalised = (clips(job).astype(np.float32) / 255.0 - mean) / std
    tensor = torch.from_numpy(normalised.transpose(0, 4, 1, 2, 3).copy())
    return tensor.contiguous(memory_format=torch.channels_last_3d)


def _new_torch_network(name: str) -> Any:
    from hara_networks import HaraResNet, HaraResNeXt
    from t3d_twin import T3DTwin

    if name == "t3d_121":
        return T3DTwin()
    if name == "t3d_tiny":
        return T3DTwin(
            (2, 3, 3),
            growth_rate=16,
            bottleneck_factor=2,
            stem_filters=24,
            stem_kernel=(3, 5, 5),
            transition_filters=16,
        )
    if name.startswith("resnext3d_"):
        return HaraResNeXt(int(name.removeprefix("resnext3d_")))
    return HaraResNet(int(name.removeprefix("resnet3d_")))


# Keras.


def keras_model(job: Job, precision: str, rematerialize: bool = False) -> Any:
    """Returns our network with the twin's weights, in `"float32"` or `"bfloat16"` precision."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(job.threads)
    import keras_t3d

    model = keras_t3d.models.create(
        job.model,
        input_shape=job.input_shape,
        num_classes=NUM_CLASSES,
        rematerialize=rematerialize,
        dtype="mixed_bfloat16" if precision == "bfloat16" else precision,
    )
    copy_to_keras(np.load(job.folder / "weights.npz"), model)
    return model


def copy_to_keras(weights: Mapping[str, np.ndarray], model: Any) -> None:
    """Copies all weights of a twin to one of our networks."""
    rules = _T3D_NAMES if model.name.startswith("t3d") else _RESNET_NAMES
    unread = {name for name in weights if not name.endswith(".num_batches_tracked")}
    for variable in model.weights:
        name = _torch_name(variable.path, rules)
        variable.assign(_in_keras_order(weights[name]))
        unread.remove(name)
    if unread:
        raise ValueError(f"{model.name} has no such weights as {sorted(unread)}")


_T3D_NAMES = {
    r"^stem/": "stem.",
    r"/layer(\d+)_(bn|conv)1$": r".layer\1.bottleneck.\2",
    r"/layer(\d+)_(bn|conv)2$": r".layer\1.\2",
    r"/depth(\d+)_": r".depth\1.",
    r"^final_": "final.",
}
_RESNET_NAMES = {
    r"^stem/(bn|conv)$": r"\g<1>1",
    r"^logits$": "fc",
    r"^stage(\d+)_block(\d+)/": lambda match: f"layer{match[1]}.{int(match[2]) - 1}.",
    r"shortcut_conv$": "downsample.0",
    r"shortcut_bn$": "downsample.1",
}
_WEIGHT_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _torch_name(path: str, rules: Mapping[str, Any]) -> str:
    layer, _, weight = path.rpartition("/")
    for pattern, replacement in rules.items():
        layer = re.sub(pattern, replacement, layer)
    return f"{layer}.{_WEIGHT_NAMES[weight]}"


def _in_keras_order(weight: np.ndarray) -> np.ndarray:
    """Moves filters and channels last: PyTorch has them first."""
    if weight.ndim == 5:
        return weight.transpose(2, 3, 4, 1, 0)
    return weight.T

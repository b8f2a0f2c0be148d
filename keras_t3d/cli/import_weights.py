"""`keras-t3d import-weights`: a network that starts from a PyTorch checkpoint."""

from __future__ import annotations

import argparse
from typing import Any

from keras_t3d.cli.command import add_command
from keras_t3d.cli.tensorflow_import import import_tensorflow


def add(commands: Any) -> None:
    weights = add_command(commands, "import-weights", run, "start from a PyTorch checkpoint")
    weights.add_argument(
        "checkpoint", metavar="CHECKPOINT", help=".pth, .pt, .tar or .safetensors file"
    )
    weights.add_argument("out", metavar="OUT.keras", help="file to write")
    weights.add_argument(
        "--model", required=True, metavar="NAME", help="network, such as resnet3d_18 or r3d_18"
    )
    weights.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="another number than the checkpoint's makes the classifying layer fresh",
    )
    weights.add_argument(
        "--normalization",
        choices=("kinetics", "activitynet", "torchvision"),
        help="what Hara et al.'s checkpoints were trained on: activitynet in 2017 and 2018, "
        "kinetics in 2020",
    )


def run(arguments: argparse.Namespace) -> None:
    if not arguments.out.endswith(".keras"):
        raise ValueError(f"OUT must end in .keras, as in start.keras. Received: {arguments.out!r}")
    import_tensorflow()
    from keras_t3d.atomic import written_beside
    from keras_t3d.transfer import import_weights

    imported = import_weights(
        arguments.checkpoint,
        arguments.model,
        num_classes=arguments.num_classes,
        normalization=arguments.normalization,
    )
    with written_beside(arguments.out) as part:
        imported.model.save(part)
    print(f"Wrote {arguments.out}\n{imported}")

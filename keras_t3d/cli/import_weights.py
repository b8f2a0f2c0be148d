"""`keras-t3d import-weights`: start from a PyTorch checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonargparse

from keras_t3d.cli.loading import import_tensorflow
from keras_t3d.errors import check_argument


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    # By hand: the function that imports weights comes with Keras, which --help does without.
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help=".pth, .pt, .tar or .safetensors file"
    )
    parser.add_argument("out", metavar="OUT.keras", help="file to write")
    parser.add_argument(
        "--model",
        dest="name",
        required=True,
        metavar="NAME",
        help="network, for example resnet3d_18 or r3d_18",
    )
    parser.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="a number other than the checkpoint's initializes a new classification layer",
    )
    parser.add_argument(
        "--normalization",
        choices=("kinetics", "activitynet", "torchvision"),
        help="normalization that the checkpoint was trained with; Hara et al. used activitynet in "
        "2017 and 2018, kinetics in 2020",
    )
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="which network, if the checkpoint has several, for example model_ema",
    )
    parser.add_argument(
        "--options",
        type=dict[str, Any],
        default={},
        metavar="JSON",
        help="further options of the network, for example '{\"stem_stride\": [2, 2, 2]}'",
    )


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    out = arguments.out
    check_argument("out", out, out.endswith(".keras"), "a .keras file, for example start.keras")
    options = dict(arguments.options)
    flags = {"num_classes", "normalization", "part"} & options.keys()
    check_argument("options", options, not flags, "options of the network that have no flag")
    import_tensorflow()
    from keras_t3d.atomic import written_beside
    from keras_t3d.transfer import import_weights

    imported = import_weights(
        arguments.checkpoint,
        arguments.name,
        num_classes=arguments.num_classes,
        normalization=arguments.normalization,
        part=arguments.part,
        **options,
    )
    with written_beside(out) as part:
        imported.model.save(part)
    print(f"Wrote {out}\n{imported}")

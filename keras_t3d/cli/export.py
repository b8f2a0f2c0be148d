"""`keras-t3d export`: a model for serving or for devices."""

from __future__ import annotations

import argparse
from typing import Any

from keras_t3d.cli.command import add_command
from keras_t3d.cli.tensorflow_import import import_tensorflow
from keras_t3d.deploy.options import EXPORT_TARGETS, SavedModelOptions, TFLiteOptions

_CALIBRATION = "compare on clips of these shards, not on generated ones"


def add(commands: Any) -> None:
    export = commands.add_parser("export", help="write a model for serving or for devices")
    formats = export.add_subparsers(metavar="FORMAT", required=True)
    saved_model = add_command(formats, "saved-model", _export_saved_model, "for TF Serving")
    saved_model.add_argument("model", metavar="MODEL", help=".keras file")
    saved_model.add_argument(
        "out", metavar="OUT", help="folder of versions: writes OUT/1, OUT/2..."
    )
    saved_model.add_argument("--calibration", metavar="SHARDS", help=_CALIBRATION)
    saved_model.add_argument(
        "--frozen",
        action=argparse.BooleanOptionalAction,
        help="weights as constants of a folded graph: a fourth less time a clip, for 25 times "
        "their bytes of memory in the server (default: up to 200 MB of weights)",
    )
    tflite = add_command(formats, "tflite", _export_tflite, "for LiteRT (TensorFlow Lite)")
    tflite.add_argument("model", metavar="MODEL", help=".keras file")
    tflite.add_argument("out", metavar="OUT.tflite", help="file to write")
    tflite.add_argument(
        "--quantization",
        default="none",
        choices=("none", "float16", "dynamic", "int8"),
        help="float32; weights of 16 or of 8 bits; all in whole numbers of 8 bits",
    )
    tflite.add_argument(
        "--calibration",
        metavar="SHARDS",
        help=f"{_CALIBRATION}; for int8 needed: its ranges are those of these clips",
    )
    tflite.add_argument(
        "--report-clips",
        type=int,
        default=200,
        metavar="N",
        help="clips of SHARDS' test or val split to measure on what 8 bits cost",
    )
    tflite.add_argument(
        "--float-layers",
        nargs="+",
        default=(),
        metavar="LAYER",
        help="layers that int8 leaves in floats, named as in its report: stem block1/layer2_conv1",
    )
    tflite.add_argument(
        "--integer-output", action="store_true", help="probabilities too as int8, p * 256 - 128"
    )
    tflite.add_argument("--licence", metavar="FILE", help="text that the file's metadata carry")


def _export_saved_model(arguments: argparse.Namespace) -> None:
    options = SavedModelOptions(arguments.frozen)
    _export("saved-model", arguments, options)


def _export_tflite(arguments: argparse.Namespace) -> None:
    options = TFLiteOptions(
        arguments.quantization,
        arguments.report_clips,
        arguments.float_layers,
        arguments.integer_output,
        arguments.licence,
    )
    _export("tflite", arguments, options)


def _export(target: str, arguments: argparse.Namespace, options: Any) -> None:
    import_tensorflow()
    EXPORT_TARGETS[target].export(
        arguments.model, arguments.out, arguments.calibration, options, _print
    )


def _print(line: str) -> None:
    print(line, flush=True)

"""`keras-t3d evaluate`: the videos of a split, scored."""

from __future__ import annotations

import argparse
import os
from typing import Any

from keras_t3d.cli.command import MODEL, add_command
from keras_t3d.cli.progress import progress_bar
from keras_t3d.cli.tensorflow_import import import_tensorflow


def add(commands: Any) -> None:
    evaluate = add_command(commands, "evaluate", run, "score the videos of a split")
    evaluate.add_argument("model", metavar="MODEL", help=MODEL)
    evaluate.add_argument("shards", metavar="SHARDS", help="folder that `convert` wrote")
    evaluate.add_argument("--split", default="test", choices=("train", "val", "test"), help="which")
    evaluate.add_argument(
        "--protocol",
        default="views",
        choices=("views", "t3d", "stc"),
        help="views: N clips x M crops; t3d, stc: as in the papers, every frame, centre crop",
    )
    evaluate.add_argument(
        "--views", type=int, metavar="N", help="clips of each video, spread over it (default: 1)"
    )
    evaluate.add_argument(
        "--crops", type=int, choices=(1, 3, 5), help="crops of each clip (default: 1)"
    )
    evaluate.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="views scored at once"
    )
    evaluate.add_argument("--out", required=True, metavar="DIR", help="folder of the report")


def run(arguments: argparse.Namespace) -> None:
    import_tensorflow()
    from keras_t3d.evaluation import EvaluationOptions, evaluate
    from keras_t3d.evaluation.report import FILES

    options = EvaluationOptions(
        arguments.protocol, arguments.views, arguments.crops, arguments.batch_size
    )
    with progress_bar("evaluating", "videos") as progress:
        metrics = evaluate(
            arguments.model,
            arguments.shards,
            arguments.split,
            arguments.out,
            options,
            progress=progress,
        )
    low, high = metrics["intervals"]["top1"]
    top5 = f", top-5 {metrics['top5']:.4f}" if "top5" in metrics else ""
    print(
        f"{metrics['videos']} videos: top-1 {metrics['top1']:.4f} (95 % interval {low:.4f} to "
        f"{high:.4f}){top5}, mean class accuracy {metrics['mean_class_accuracy']:.4f}, "
        f"ECE {metrics['calibration']['ece']:.4f}"
    )
    print(f"Wrote {os.path.join(arguments.out, 'index.html')}, {', '.join(FILES[:-1])}")

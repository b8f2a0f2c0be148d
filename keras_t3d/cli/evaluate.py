"""`keras-t3d evaluate`: score the videos of a split."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import jsonargparse

from keras_t3d.artifact_files import check_model_exists
from keras_t3d.atomic import check_new_folder
from keras_t3d.cli.loading import import_tensorflow, print_processors
from keras_t3d.cli.options import MODEL, SHARDS, add_options, selected
from keras_t3d.evaluation.options import EvaluationOptions
from keras_t3d.progress import progress_bar


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("shards", metavar="SHARDS", help=SHARDS)
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="split to score"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the report")
    parser.add_argument(
        "--previews",
        action="store_true",
        help="let the report play the middle of the videos that it shows: about 3 MB more",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier report in the folder"
    )
    add_options(parser, EvaluationOptions)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    options = EvaluationOptions(**selected(arguments, EvaluationOptions))
    check_model_exists(arguments.model)
    if not arguments.overwrite:
        check_new_folder(pathlib.Path(arguments.out), "out")
    import_tensorflow()
    from keras_t3d.evaluation import evaluate
    from keras_t3d.evaluation.report import FILES

    print_processors(arguments.model)
    with progress_bar("evaluating", "videos") as progress:
        metrics = evaluate(
            arguments.model,
            arguments.shards,
            arguments.split,
            arguments.out,
            options,
            previews=arguments.previews,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    low, high = metrics["intervals"]["top1"]
    top5 = f", top-5 {metrics['top5']:.4f}" if "top5" in metrics else ""
    print(
        f"{metrics['videos']} videos: top-1 {metrics['top1']:.4f} (95 % interval {low:.4f} to "
        f"{high:.4f}; chance {metrics['chance']:.4f}, most frequent class "
        f"{metrics['majority']:.4f}){top5}, mean class accuracy "
        f"{metrics['mean_class_accuracy']:.4f}, ECE {metrics['calibration']['ece']:.4f}"
    )
    print(f"Wrote {os.path.join(arguments.out, 'index.html')}, {', '.join(FILES[:-1])}")

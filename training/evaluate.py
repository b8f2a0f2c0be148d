"""Evaluates a model on all videos of a split, and writes a report.

    python training/evaluate.py runs/a/model.keras shards --views 3 --out report

`keras-t3d evaluate` has more options. This script shows the steps: model, scores, report.
"""

from __future__ import annotations

import argparse

from keras_t3d.data import ShardSet
from keras_t3d.evaluation import EvaluationOptions, score_videos, write_report
from keras_t3d.inference import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate a model on a split.")
    parser.add_argument("model", help=".keras file, SavedModel folder or .tflite file")
    parser.add_argument("shards", help="folder that `keras-t3d convert` wrote")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--views", type=int, default=1, help="clips per video")
    parser.add_argument("--out", required=True, help="new or empty folder for the report")
    arguments = parser.parse_args()

    predictor = load_predictor(arguments.model)
    shards = ShardSet.open(arguments.shards)
    options = EvaluationOptions(views=arguments.views)
    scores = score_videos(predictor, shards, arguments.split, options)
    # The protocol, which the report shows beside the metrics.
    protocol = {
        "model": arguments.model,
        "shards": arguments.shards,
        "split": arguments.split,
        "views": arguments.views,
        "clip_spec": predictor.clip_spec.get_config(),
    }
    metrics = write_report(scores, arguments.out, protocol)
    print(f"{metrics['videos']} videos: top-1 {metrics['top1']:.4f}; report in {arguments.out}")


if __name__ == "__main__":
    main()

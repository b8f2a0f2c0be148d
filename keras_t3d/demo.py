"""Every step on generated videos: the command `keras-t3d demo`."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import statistics
import time
import timeit
from collections.abc import Iterator
from typing import Any

import loky
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_t3d import data, evaluation, inference, motion_set, training
from keras_t3d.atomic import check_new_folder, size_of
from keras_t3d.demo_picture import draw_results
from keras_t3d.deploy.options import EXPORT_TARGETS, TFLiteOptions
from keras_t3d.progress import progress_bar

_VIDEOS_PER_CLASS = {"train": 120, "test": 25}
_VIDEOS_PER_CLASS_QUICK = {"train": 2, "test": 1}
_SMALL_BLOCKS = "{block_layers: [1, 1], growth_rate: 4, stem_filters: 4, transition_filters: 4}"
_QUICK_FLAGS = [
    *("--model.options", _SMALL_BLOCKS),
    *("--clip.num_frames", "8", "--clip.resize", "36", "--clip.crop", "32"),
    *("--epochs", "1", "--optimizer.warmup_epochs", "0"),
]
_VIEWS = 3


def run_demo(
    out: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    quick: bool = False,
) -> dict[str, Any]:
    """Generates videos, converts, trains, evaluates, exports, compares and predicts.

    Args:
        out: new folder for everything.
        seed: seed of videos and training.
        quick: use a few videos, a smaller network and one epoch, which takes seconds and shows
            only that every step works.

    Returns:
        `top1`, and the rows of the table of artifacts by name.

    Raises:
        InvalidArgumentError: if `out` exists and is not empty.

    Example:

    ```python
    run_demo("demo", quick=True)["top1"]
    ```
    """
    folder = pathlib.Path(out)
    check_new_folder(folder, "out")
    console = Console(highlight=False)
    started = time.perf_counter()
    counts = _VIDEOS_PER_CLASS_QUICK if quick else _VIDEOS_PER_CLASS
    videos, shards, run = folder / "videos", folder / "shards", folder / "run"
    report, serving = folder / "report", folder / "serving" / "t3d_tiny"

    with (
        _stage(console, "1 of 6: generate videos of eight motions, as mp4"),
        progress_bar("generating", "videos") as progress,
    ):
        motion_set.write_motion_set(
            videos, counts, seed=seed, workers=loky.cpu_count(), progress=progress
        )
    with _stage(console, "2 of 6: convert them to TFRecord shards"):
        with progress_bar("converting", "videos") as progress:
            conversion = data.ConversionOptions(short_side=64)
            converted = data.convert(videos, shards, conversion, progress=progress)
        console.print(f"{converted.videos}, {len(converted.rejects)} rejected")
    with _stage(console, "3 of 6: train t3d_tiny with model.fit under MirroredStrategy"):
        training.train(_config(shards, seed, quick), run)
    with _stage(console, f"4 of 6: evaluate, {_VIEWS} views of each test video"):
        best = str(run / "best.keras")
        with progress_bar("evaluating", "videos") as progress:
            options = evaluation.EvaluationOptions(views=_VIEWS)
            metrics = evaluation.evaluate(best, shards, "test", report, options, progress=progress)
        console.print(f"top-1 {metrics['top1']:.3f}, top-5 {metrics['top5']:.3f}")
    artifacts = {
        "Keras": run / "best.keras",
        "SavedModel": serving / "1",
        "TFLite float32": folder / "t3d_tiny.tflite",
        "TFLite float16": folder / "t3d_tiny_float16.tflite",
    }
    with _stage(console, "5 of 6: export, and compare on the same views of the test videos"):
        saved_model, tflite = (EXPORT_TARGETS[name] for name in ("saved-model", "tflite"))
        saved_model.export(best, serving)
        tflite.export(best, artifacts["TFLite float32"])
        tflite.export(best, artifacts["TFLite float16"], options=TFLiteOptions("float16"))
        rows = _compare(artifacts, shards)
    with _stage(console, "6 of 6: predict one video"):
        video = sorted((videos / "test").rglob("*.mp4"))[0]
        console.print(str(video))
        for name, probability in inference.predict_video(artifacts["TFLite float32"], video, top=3):
            console.print(f"  {probability:6.1%}  {name}")
    top1 = f"top-1 {metrics['top1']:.1%} on {metrics['videos']} test videos (chance 12.5%)"
    picture = folder / "results.png"
    clips, labels = _clip_of_each_class(shards, best)
    title = f"t3d_tiny, {top1}: frames of a test video of each class, and what speaks for the class"
    draw_results(picture, best, clips, labels, title)

    console.rule("Results")
    console.print(_table(rows))
    console.print(f"{top1}, {_VIEWS} views each; {time.perf_counter() - started:.0f} s in all\n")
    for path, what in {
        picture: "the results as a picture",
        videos: "the videos",
        shards: "their shards",
        run: "best.keras, history.csv, curves.png, tensorboard/",
        report: "index.html, to open in a browser; metrics.json and tables",
        serving: "for TF Serving",
        artifacts["TFLite float32"]: "for LiteRT, on a phone",
    }.items():
        console.print(f"{path}: {what}", soft_wrap=True)
    return {"top1": metrics["top1"], "artifacts": rows}


def _clip_of_each_class(shards: pathlib.Path, model: str) -> tuple[list[np.ndarray], list[int]]:
    """Returns the centre view of the first test video of each class, and the classes."""
    clip_spec = inference.load_predictor(model).clip_spec
    found: dict[int, np.ndarray] = {}
    for clip, label in data.load_clips(shards, "test", clip_spec, 1).as_numpy_iterator():
        found.setdefault(int(label[0]), clip[0])
    return [found[label] for label in sorted(found)], sorted(found)


@contextlib.contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.rule(title, align="left")
    start = time.perf_counter()
    yield
    console.print(f"[dim]{time.perf_counter() - start:.0f} s[/dim]")


def _config(shards: pathlib.Path, seed: int, quick: bool) -> training.TrainConfig:
    words = ["--config", "motion", "--data.shards", str(shards), "--seed", str(seed)]
    if quick:
        words += _QUICK_FLAGS
    return training.parse_config(training.config_parser(), words)[0]


def _compare(artifacts: dict[str, pathlib.Path], shards: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Measures accuracy, agreement, size and latency of each artifact, on identical views."""
    from keras_t3d.deploy import saved_model, tflite_content
    from keras_t3d.deploy.comparison import check_difference

    tolerances = {
        "Keras": 0.0,
        "SavedModel": saved_model.TOLERANCE,
        "TFLite float32": tflite_content.TOLERANCES["none"],
        "TFLite float16": tflite_content.TOLERANCES["float16"],
    }
    predictors = {name: inference.load_predictor(path) for name, path in artifacts.items()}
    clip_spec = predictors["Keras"].clip_spec
    views = list(data.load_clips(shards, "test", clip_spec, batch_size=1).as_numpy_iterator())
    labels = np.concatenate([label for _, label in views])
    probabilities = {
        name: np.concatenate([predictor.probabilities(clip) for clip, _ in views])
        for name, predictor in predictors.items()
    }
    rows = {}
    for name, predictor in predictors.items():
        difference = float(np.abs(probabilities[name] - probabilities["Keras"]).max())
        check_difference(difference, tolerances[name])
        predict = functools.partial(predictor.probabilities, views[0][0])
        rows[name] = {
            "top1_one_view": float((probabilities[name].argmax(1) == labels).mean()),
            "largest_difference": difference,
            "bytes": size_of(artifacts[name]),
            "milliseconds": 1000 * statistics.median(timeit.repeat(predict, number=1, repeat=20)),
        }
    return rows


def _table(rows: dict[str, dict[str, Any]]) -> Table:
    table = Table("artifact", title="The same centre views of the test videos through each")
    for column in ("top-1", "largest difference", "size", "one clip"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['top1_one_view']:.1%}",
            "-" if name == "Keras" else f"{row['largest_difference']:.1e}",
            f"{row['bytes'] / 2**20:.2f} MiB",
            f"{row['milliseconds']:.1f} ms",
        )
    return table

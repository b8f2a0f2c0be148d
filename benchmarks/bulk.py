"""Times predictions and embeddings of many videos beside decoding alone and the model alone.

```
python benchmarks/bulk.py --videos FOLDER   # videos anywhere below it, or generated without
python benchmarks/bulk.py --quick
```

- Rate: `write_predictions` with a `.tflite` file and `write_embeddings` with a `.keras` file, whose
  decoding processes start anew each time; PyAV in a process per core, which only decodes the same
  videos; the models on the same views, which are in memory. They run in turns. The ratio is that
  of the slower of the two to all: 1 if decoding cost the model nothing, or the reverse.
- Growth: seconds and the largest memory of `keras-t3d predict --out` with its processes, for lists
  of links to a few videos, and a small network.

Linux only: memory is read from /proc. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import process_family
import turns

_CORES = os.cpu_count() or 1
_LINKED = 20  # videos that the longer lists link to
_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv")
Facts = tuple[dict[str, Any], turns.Step]


def main() -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=Path, help="folder of videos")
    parser.add_argument("--limit", type=int, default=200, help="videos to use at most")
    parser.add_argument("--model", default="t3d_tiny", help="name of the network")
    parser.add_argument("--size", type=int, default=112, help="height and width of its clips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--lists", type=int, nargs="*", default=[100, 1000, 10_000], help="lengths of lists"
    )
    parser.add_argument("--quick", action="store_true", help="a few videos, one round")
    options = parser.parse_args()
    if options.quick:
        options.limit, options.size, options.rounds, options.lists = 8, 32, 1, [4, 8]
    machine = turns.machine()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        videos = _link_videos(options, folder)
        shape = (16, options.size, options.size, 3)
        turns.facts_of(_write_models, options.model, shape, folder)
        result = {
            "videos": len(videos),
            "model": options.model,
            "input_shape": shape,
            "rounds": options.rounds,
            "machine": machine,
            **_measure_rates(folder, options.rounds),
        }
        turns.print_table(f"{len(videos)} videos", result)
        result["lists"] = _measure_lists(options, videos, folder)
    for number, measured in result["lists"].items():
        print(f"{number} videos: {measured}")
    print(json.dumps(result))


def _link_videos(options: argparse.Namespace, folder: Path) -> list[Path]:
    """Fills a folder with links to the videos, and returns these."""
    source = options.videos
    if source is None:
        from keras_t3d.motion_set import write_motion_set

        source = folder / "motion"
        write_motion_set(source, {"train": -(-options.limit // 8)}, num_frames=40, size=128)
    found = sorted(path for path in source.resolve().rglob("*") if path.suffix in _SUFFIXES)
    random.Random(0).shuffle(found)
    videos = found[: options.limit]
    if not videos:
        raise SystemExit(f"No videos below {source}")
    _link(videos, folder / "videos", len(videos))
    return videos


def _link(videos: list[Path], folder: Path, count: int) -> None:
    folder.mkdir()
    for number, path in zip(range(count), itertools.cycle(videos), strict=False):
        (folder / f"{number:06d}{path.suffix}").symlink_to(path)


def _write_models(name: str, shape: tuple[int, ...], folder: Path) -> Facts:
    import keras

    from keras_t3d.deploy import export_tflite
    from keras_t3d.models import create

    keras.utils.set_random_seed(0)
    for file, size in (("model", shape), ("small", (8, 32, 32, 3))):
        model = create(name, input_shape=size, num_classes=20)
        model.save(folder / f"{file}.keras")
        export_tflite(model, folder / f"{file}.tflite")
    return {}, lambda: None


# Rates.


def _measure_rates(folder: Path, rounds: int) -> dict[str, Any]:
    race = turns.race(
        {
            "predict": (_predict, folder),
            "embed": (_embed, folder),
            "decoding_alone": (_decode, folder),
            "tflite_alone": (_run_tflite, folder),
            "keras_alone": (_run_keras, folder),
        },
        rounds,
    )
    times = race.milliseconds

    def to_slower(work: str, model: str) -> float | None:
        slower = max(times.get("decoding_alone", 0.0), times.get(model, 0.0))
        return turns.ratio(slower, times.get(work))

    return {
        "milliseconds": times,
        "unavailable": race.unavailable,
        "views": race.facts.get("tflite_alone", {}).get("views"),
        "predict_ratio": to_slower("predict", "tflite_alone"),
        "embed_ratio": to_slower("embed", "keras_alone"),
    }


def _predict(folder: Path) -> Facts:
    from keras_t3d.inference import load_predictor, write_predictions

    predictor = load_predictor(folder / "model.tflite")
    return {}, lambda: write_predictions(predictor, folder / "videos", folder / "scores.jsonl")


def _embed(folder: Path) -> Facts:
    from keras_t3d.inference import load_embedder, write_embeddings

    embedder = load_embedder(folder / "model.keras")
    return {}, lambda: write_embeddings(embedder, folder / "videos", folder / "embeddings.npz")


def _decode(folder: Path) -> Facts:
    paths = sorted(map(str, (folder / "videos").iterdir()))
    pool = multiprocessing.get_context("spawn").Pool(_CORES)
    return {"frames": sum(pool.map(_count_frames, paths))}, lambda: pool.map(
        _count_frames, paths, chunksize=1
    )


def _count_frames(path: str) -> int:
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 1
        return sum(1 for _ in container.decode(stream))


def _run_tflite(folder: Path) -> Facts:
    from keras_t3d.inference import load_predictor

    predictor = load_predictor(folder / "model.tflite")
    return _run(predictor.probabilities, predictor.clip_spec, folder)


def _run_keras(folder: Path) -> Facts:
    from keras_t3d.inference import load_embedder

    embedder = load_embedder(folder / "model.keras")
    return _run(embedder.embeddings, embedder.clip_spec, folder)


def _run(function: Any, clip_spec: Any, folder: Path) -> Facts:
    from keras_t3d.inference.bulk.options import BulkOptions
    from keras_t3d.inference.video_views import read_views

    paths = sorted((folder / "videos").iterdir())
    views = np.concatenate([read_views(path, clip_spec, None).clips for path in paths])
    size = BulkOptions().batch_size
    batches = [views[first : first + size] for first in range(0, len(views), size)]
    return {"views": len(views)}, lambda: [function(batch) for batch in batches]


# Growth.


def _measure_lists(
    options: argparse.Namespace, videos: list[Path], folder: Path
) -> dict[int, dict[str, float]]:
    measured = {}
    for count in options.lists:
        source = folder / f"list{count}"
        _link(videos[:_LINKED], source, count)
        words = ["predict", folder / "small.tflite", source, "--out", folder / f"{count}.csv"]
        begin = time.perf_counter()
        peak = process_family.peak_bytes(
            [sys.executable, "-m", "keras_t3d.cli", *map(str, words), "--workers", str(_CORES)]
        )
        seconds = time.perf_counter() - begin
        measured[count] = {
            "seconds": round(seconds, 2),
            "milliseconds_per_video": round(1000 * seconds / count, 2),
            "peak_megabytes": round(peak / 1e6),
        }
    return measured


if __name__ == "__main__":
    main()

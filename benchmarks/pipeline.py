"""Clips a second: reading shards against decoding mp4 in the loop, on the same cores.

```
python benchmarks/pipeline.py --videos FOLDER   # <class>/<video>, or generated without
```

Both give the same thing: 16 random consecutive frames of a random video, a random
112 crop, as uint8 batches. "mp4 in the loop" decodes each video with PyAV in as
many processes as there are cores, from its first frame on, as a random clip of
a compressed video needs. The shards are read as one stream through several
epochs, as in training. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import statistics
import tempfile
import time

import numpy as np

from keras_t3d.clips import ClipSpec

SPEC = ClipSpec(num_frames=16, frame_stride=1, resize=128, crop=112)
BATCH = 16
WARM_UP = 20  # batches of a stream of shards before it is timed: it starts once in a training
TIMED = 80  # batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=pathlib.Path, help="folder of <class>/<video>")
    parser.add_argument("--limit", type=int, default=300, help="videos to use at most")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few videos, one repeat")
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        paths = _videos(arguments.videos, 16 if arguments.quick else arguments.limit, folder)
        shards = _shards(paths, folder)
        rates: dict[str, list[float]] = {"mp4": [], "shards": []}
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            _mp4_rate(pool, paths)  # imports, page cache
            for _ in range(repeats):  # in turns; nothing of one runs on during the other
                rates["mp4"].append(_mp4_rate(pool, paths))
                rates["shards"].append(_shards_rate(shards, arguments.quick))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:>8}: {value:8.0f} clips/s  (median of {repeats}: {_rounded(rates[name])})")
    result = {
        "videos": len(paths),
        "cores": os.cpu_count(),
        "mp4_clips_per_second": round(medians["mp4"], 1),
        "shards_clips_per_second": round(medians["shards"], 1),
        "ratio": round(medians["shards"] / medians["mp4"], 2),
    }
    print(json.dumps(result))


def _rounded(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def _videos(folder: pathlib.Path | None, limit: int, scratch: pathlib.Path) -> list[str]:
    if folder is None:
        from keras_t3d.data.motion import write_motion_set

        folder = scratch / "motion"
        per_class = -(-limit // 8)
        write_motion_set(folder, {"train": per_class}, num_frames=40, size=128, workers=2)
    paths = sorted(str(path) for path in folder.resolve().rglob("*.mp4"))
    random.Random(0).shuffle(paths)
    if not paths:
        raise SystemExit(f"No .mp4 files below {folder}")
    return paths[:limit]


def _shards(paths: list[str], scratch: pathlib.Path) -> str:
    from keras_t3d.data import convert

    rows = [f'"{path}",{"ab"[index % 2]},train' for index, path in enumerate(paths)]
    (scratch / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    convert(scratch / "list.csv", scratch / "shards", "csv")
    return str(scratch / "shards")


def _mp4_rate(pool: multiprocessing.pool.Pool, paths: list[str]) -> float:
    start = time.perf_counter()
    clips = pool.imap(_decode_clip, paths, chunksize=4)
    while batch := list(itertools.islice(clips, BATCH)):
        np.stack(batch)
    return len(paths) / (time.perf_counter() - start)


def _decode_clip(path: str) -> np.ndarray:
    import av

    draw = random.Random(path)
    with av.open(path) as container:
        stream = container.streams.video[0]
        start = draw.randrange(max(stream.frames - SPEC.num_frames, 0) + 1)
        taken = []
        for index, frame in enumerate(container.decode(stream)):
            if index >= start:
                taken.append(frame.to_ndarray(format="rgb24"))
            if len(taken) == SPEC.num_frames:
                break
    taken = [taken[index % len(taken)] for index in range(SPEC.num_frames)]
    height, width = taken[0].shape[:2]
    crop_height, crop_width = SPEC.crop_size
    top, left = draw.randrange(height - crop_height + 1), draw.randrange(width - crop_width + 1)
    return np.stack([frame[top : top + crop_height, left : left + crop_width] for frame in taken])


def _shards_rate(shards: str, quick: bool) -> float:
    from keras_t3d.data import Augmentation, load_clips

    batches = iter(
        load_clips(
            shards,
            "train",
            SPEC,
            BATCH,
            training=True,
            repeat=True,
            augmentation=Augmentation(crop="random", flip=False),
        )
    )
    for _ in range(1 if quick else WARM_UP):
        next(batches)
    start = time.perf_counter()
    clips = sum(len(next(batches)[0]) for _ in range(2 if quick else TIMED))
    return clips / (time.perf_counter() - start)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()

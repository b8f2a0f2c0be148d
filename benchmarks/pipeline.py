"""Measures training clips per second: shards against PyTorch DataLoaders that decode mp4 files.

```
python benchmarks/pipeline.py --videos FOLDER              # <class>/<video>, or generated without
python benchmarks/pipeline.py --videos FOLDER --seconds 12 # videos of that length, joined from them
python benchmarks/pipeline.py --seconds 12 --max-seconds 4 # the same in records of 4 seconds
```

All yield the same kind of uint8 batches: 16 consecutive frames at a random place of random videos,
a corner or centre window of one of four scales (the papers' augmentation), resized to 112x112,
mirrored half of the time.

- `shards`: `load_clips`, one stream through several epochs, as in training.
- `torch_pyav`, `torch_torchcodec`: a DataLoader with one worker per core that seeks to the key
  frame before the clip and decodes from there. TorchCodec needs FFmpeg's libraries, and is left
  out if it does not load.
- `libjpeg`: one process per core that only decodes whole frames of random clips of the same shards
  with Pillow's libjpeg-turbo.

They run in turns, one at a time. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from keras_t3d.clips import ClipSpec

SPEC = ClipSpec(num_frames=16, frame_stride=1, resize=128, crop=112)
SCALES = (1.0, 0.875, 0.75, 0.66)
BATCH = 16
_CORES = os.cpu_count() or 1


def main() -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=pathlib.Path, help="folder of <class>/<video>")
    parser.add_argument("--limit", type=int, default=300, help="videos to use at most")
    parser.add_argument("--seconds", type=float, help="join videos to at least this length")
    parser.add_argument(
        "--max-seconds", type=float, default=30.0, help="cut longer videos into such records"
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a few videos, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.limit = 1, 48
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        paths = _videos(arguments.videos, arguments.limit, folder)
        if arguments.seconds:
            paths = _joined(paths, arguments.seconds, folder)
        result = _measure(paths, _shards(paths, arguments.max_seconds, folder), arguments)
    print(json.dumps(result))


def _measure(paths: list[str], shards: str, arguments: argparse.Namespace) -> dict[str, Any]:
    timed = 32 if arguments.quick else 320  # clips of a decoding loader
    contenders: dict[str, Callable[[], float]] = {
        "torch_pyav": lambda: _torch_rate(paths, timed, "pyav"),
        "torch_torchcodec": lambda: _torch_rate(paths, timed, "torchcodec"),
        "libjpeg": lambda: _libjpeg_rate(shards, 4 * timed),
        "shards": lambda: _shards_rate(shards, 4 * timed),
    }
    unavailable: dict[str, str] = {}
    rates: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
        for name, rate in contenders.items():
            if name not in unavailable:
                try:
                    rates.setdefault(name, []).append(rate())
                except (ImportError, OSError, RuntimeError) as error:
                    unavailable[name] = str(error).strip().splitlines()[0]
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    for name, value in medians.items():
        every = ", ".join(f"{one:.0f}" for one in rates[name])
        print(f"{name:>18}: {value:8.0f} clips/s  (median of {every})")
    loaders = [value for name, value in medians.items() if name.startswith("torch_")]
    return {
        "videos": len(paths),
        "max_seconds": arguments.max_seconds,
        "cores": _CORES,
        "clips_per_second": {name: round(value, 1) for name, value in medians.items()},
        "unavailable": unavailable,
        "to_best_dataloader": round(medians["shards"] / max(loaders), 2) if loaders else None,
        "to_libjpeg": round(medians["shards"] / medians["libjpeg"], 3),
    }


# Videos.


def _videos(folder: pathlib.Path | None, limit: int, scratch: pathlib.Path) -> list[str]:
    if folder is None:
        from keras_t3d.motion_set import write_motion_set

        folder = scratch / "motion"
        write_motion_set(folder, {"train": -(-limit // 8)}, num_frames=40, size=128, workers=2)
    paths = sorted(str(path) for path in folder.resolve().rglob("*.mp4"))
    random.Random(0).shuffle(paths)
    if not paths:
        raise SystemExit(f"No .mp4 files below {folder}")
    return paths[:limit]


def _joined(paths: list[str], seconds: float, scratch: pathlib.Path) -> list[str]:
    """Joins videos, resized to one size, until each result is long enough."""
    import av

    joined: list[str] = []
    left = list(paths)
    (scratch / "joined").mkdir()
    while left:
        path = scratch / "joined" / f"{len(joined):04d}.mp4"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 172, 128, "yuv420p"
            count = 0
            while left and count < seconds * 25:
                with av.open(left.pop()) as source:
                    for decoded in source.decode(video=0):
                        frame = decoded.reformat(width=172, height=128, format="yuv420p")
                        frame.pts, frame.time_base = count, Fraction(1, 25)
                        container.mux(stream.encode(frame))
                        count += 1
            container.mux(stream.encode(None))
        if count >= seconds * 25:  # the last one may be short of it
            joined.append(str(path))
    return joined


def _shards(paths: list[str], max_seconds: float, scratch: pathlib.Path) -> str:
    from keras_t3d.data import ConversionOptions, convert

    rows = [f'"{path}",{"ab"[index % 2]},train' for index, path in enumerate(paths)]
    (scratch / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    convert(
        scratch / "list.csv",
        scratch / "shards",
        ConversionOptions(layout="csv", max_seconds=max_seconds),
    )
    return str(scratch / "shards")


# PyTorch's DataLoader.


class _Mp4Clips:
    """Yields random clips of videos, read by `decode(path, start) -> uint8 (T, H, W, 3)`."""

    def __init__(self, paths: list[str], count: int, decoder: str) -> None:
        self.paths, self.count, self.decoder = paths, count, decoder

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        draw = random.Random(index)
        path = self.paths[draw.randrange(len(self.paths))]
        decode = _decode_by_pyav if self.decoder == "pyav" else _decode_by_torchcodec
        return _window(decode(path, draw), draw)


def _window(frames: np.ndarray, draw: random.Random) -> Any:
    import torch

    height, width = frames.shape[1:3]
    side = round(min(height, width) * draw.choice(SCALES))
    top, left = draw.choice(
        [
            ((height - side) // 2, (width - side) // 2),
            (0, 0),
            (0, width - side),
            (height - side, 0),
            (height - side, width - side),
        ]
    )
    clip = torch.from_numpy(np.ascontiguousarray(frames[:, top : top + side, left : left + side]))
    clip = torch.nn.functional.interpolate(
        clip.permute(0, 3, 1, 2), size=SPEC.crop_size, mode="bilinear"
    )
    return clip.flip(3) if draw.random() < 0.5 else clip


def _decode_by_pyav(path: str, draw: random.Random) -> np.ndarray:
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 25)
        start = draw.randrange(max(stream.frames - SPEC.num_frames, 0) + 1)
        if start:
            base = stream.time_base or Fraction(1, 12800)
            container.seek(int(start / rate / base), stream=stream)
        taken: list[np.ndarray] = []
        for frame in container.decode(stream):
            if frame.time is None or round(frame.time * rate) >= start:
                taken.append(frame.to_ndarray(format="rgb24"))
            if len(taken) == SPEC.num_frames:
                break
    return np.stack([taken[index % len(taken)] for index in range(SPEC.num_frames)])


def _decode_by_torchcodec(path: str, draw: random.Random) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        path, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate"
    )
    count = len(decoder)
    start = draw.randrange(max(count - SPEC.num_frames, 0) + 1)
    indices = [(start + offset) % count for offset in range(SPEC.num_frames)]
    return decoder.get_frames_at(indices).data.numpy()


def _torch_rate(paths: list[str], count: int, decoder: str) -> float:
    import torch

    if decoder == "torchcodec":
        import torchcodec.decoders  # noqa: F401 - says here, not in a worker, that it does not load
    torch.set_num_threads(1)  # in its workers too: they fill the cores
    warm_up = 4 * _CORES
    loader: Any = torch.utils.data.DataLoader(
        _Mp4Clips(paths, (warm_up + count // BATCH) * BATCH, decoder),  # type: ignore[arg-type]
        batch_size=BATCH,
        num_workers=_CORES,
    )
    return _rate(iter(loader), warm_up, count)


def _rate(batches: Iterator[Any], warm_up: int, count: int) -> float:
    """Returns clips per second, after the workers have started and the buffers are full."""
    for _ in range(warm_up):
        next(batches)
    start = time.perf_counter()
    for _ in range(count // BATCH):
        next(batches)
    return count / (time.perf_counter() - start)


# Shards.


def _shards_rate(shards: str, count: int) -> float:
    from keras_t3d.data import Augmentation, load_clips

    augmentation = Augmentation(crop="corners", scales=SCALES)
    clips = load_clips(
        shards,
        "train",
        SPEC,
        BATCH,
        training=True,
        augmentation=augmentation,
        repeat=True,
    )
    return _rate(iter(clips), 20, count)


def _libjpeg_rate(shards: str, count: int) -> float:
    with multiprocessing.get_context("spawn").Pool(_CORES) as pool:
        rates = pool.map(_decode_frames, [(shards, count // _CORES, n) for n in range(_CORES)], 1)
    return sum(rates)


def _decode_frames(task: tuple[str, int, int]) -> float:
    """Returns clips per second of one process, without the time to read records."""
    from PIL import Image

    from keras_t3d.data.shards.record import stored_video
    from keras_t3d.data.shards.record_file import read_record, record_offsets
    from keras_t3d.data.shards.shard_set import ShardSet

    shards, count, process = task
    draw = random.Random(process)
    clips = []
    for path in ShardSet.open(shards).paths("train"):
        with open(path, "rb") as file:
            for offset in record_offsets(path):
                frames = stored_video(read_record(file, int(offset))).frames
                start = draw.randrange(max(len(frames) - SPEC.num_frames, 0) + 1)
                clips.append(frames[start : start + SPEC.num_frames])
    clips = clips[process::_CORES]
    start_time = time.perf_counter()
    decoded = 0
    while decoded < count * SPEC.num_frames:
        for frame in clips[draw.randrange(len(clips))]:
            Image.open(io.BytesIO(frame)).load()
            decoded += 1
    return decoded / SPEC.num_frames / (time.perf_counter() - start_time)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()

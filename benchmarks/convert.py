"""Measures conversion: speed relative to bare decoding and encoding, peak memory, safety of kills.

```
python benchmarks/convert.py --videos FOLDER   # <class>/<video>, or generated without
python benchmarks/convert.py --quick
```

- Rate: the whole of `keras-t3d convert` with one worker per core, against as many processes that
  only decode, shrink and encode the same frames, and against ffmpeg in as many processes of one
  thread, which scales to the same size, a pixel more or less, and writes JPEG files. They run in
  turns.
- Large video: the same for videos of 1080p, 10 seconds each, made of the given ones.
- Memory: the largest sum of resident memory of the command and its workers, on these videos and
  on a long film that repeats a few seconds of 4096x2304.
- Kills: the command and all its processes are killed at random times, and it is re-run until it
  ends; the folder must equal that of an uninterrupted run, byte for byte.

Linux only: memory is read from /proc. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from process_family import peak_bytes

_CORES = os.cpu_count() or 1
_SHORT_SIDE = 128


def main() -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=pathlib.Path, help="folder of <class>/<video>")
    parser.add_argument("--limit", type=int, default=400, help="videos to use at most")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--large", type=int, default=6, help="number of videos of 1080p")
    parser.add_argument("--film-seconds", type=int, default=60, help="length of the 4K film")
    parser.add_argument("--quick", action="store_true", help="a few videos, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.limit, arguments.repeats, arguments.kills, arguments.film_seconds = 16, 1, 2, 1
        arguments.large = 2  # one of each class
    with tempfile.TemporaryDirectory() as scratch:
        result = _measure(arguments, pathlib.Path(scratch))
    for name, value in result.items():
        print(f"{name:>28}: {value}")
    print(json.dumps(result))


def _measure(arguments: argparse.Namespace, scratch: pathlib.Path) -> dict[str, object]:
    paths = _videos(arguments.videos, arguments.limit, scratch)
    listed = _list(paths, scratch / "list.csv")
    whole = scratch / "whole"
    peak = peak_bytes(_command(listed, whole))
    expected = _digest(whole)
    rates = _rates(paths, arguments.repeats, scratch)
    large = _large_videos(paths, arguments.large, scratch / "large")
    large_rates = _rates(large, arguments.repeats, scratch) if large else {}

    film = _film(scratch / "film.mp4", arguments.film_seconds)
    _list([str(film), paths[0]], scratch / "film.csv")
    film_peak = peak_bytes(_command(scratch / "film.csv", scratch / "film"))
    seconds = rates["convert_seconds"]
    killed, same = _kill(listed, scratch / "killed", expected, arguments.kills, seconds)
    return {
        "videos": len(paths),
        "cores": _CORES,
        **rates,
        "large_videos": len(large),
        **{f"large_{name}": value for name, value in large_rates.items()},
        "peak_megabytes": round(peak / 2**20),
        "film_seconds": arguments.film_seconds,
        "film_peak_megabytes": round(film_peak / 2**20),
        "kills": killed,
        "identical_after_kills": same,
    }


def _videos(folder: pathlib.Path | None, limit: int, scratch: pathlib.Path) -> list[str]:
    if folder is None:
        from keras_t3d.motion_set import write_motion_set

        folder = scratch / "motion"
        write_motion_set(folder, {"train": -(-limit // 8)}, num_frames=40, size=128, workers=2)
    paths = sorted(
        str(path)
        for path in folder.resolve().rglob("*")
        if path.suffix in (".mp4", ".avi", ".webm", ".mkv")
    )
    if not paths:
        raise SystemExit(f"No videos below {folder}")
    random.Random(0).shuffle(paths)
    return paths[:limit]


def _list(paths: list[str], listed: pathlib.Path) -> pathlib.Path:
    """Writes the csv file that lists the videos to convert."""
    rows = [f'"{path}",{"ab"[index % 2]},train' for index, path in enumerate(paths)]
    listed.write_text("\n".join(["path,label,split", *rows]))
    return listed


def _large_videos(paths: list[str], count: int, folder: pathlib.Path) -> list[str]:
    """Writes videos of 1080p, of the frames of others, scaled up and 10 seconds long."""
    import av

    folder.mkdir()
    frames = itertools.chain.from_iterable(map(_decoded, itertools.cycle(paths)))
    written = [folder / f"{number}.mp4" for number in range(count)]
    for path in written:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
            for number, frame in enumerate(itertools.islice(frames, 300)):
                large = frame.reformat(1920, 1080, "yuv420p", interpolation="BICUBIC")
                large.pts, large.time_base = number, Fraction(1, 30)
                container.mux(stream.encode(large))
            container.mux(stream.encode(None))
    return list(map(str, written))


def _decoded(path: str) -> Iterator[Any]:
    import av

    with av.open(path) as container:
        yield from container.decode(video=0)


def _command(listed: pathlib.Path, out: pathlib.Path) -> list[str]:
    given = ["--layout", "csv", "--workers", str(_CORES), "--short-side", str(_SHORT_SIDE)]
    return [sys.executable, "-m", "keras_t3d.cli", "convert", str(listed), str(out), *given]


def _digest(folder: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


# Rates.


def _rates(paths: list[str], repeats: int, scratch: pathlib.Path) -> dict[str, Any]:
    """Returns the medians of the seconds of each, and ratios to those of the conversion."""
    listed, out = _list(paths, scratch / "timed.csv"), scratch / "timed"

    def convert() -> None:
        subprocess.run(_command(listed, out), check=True, capture_output=True)

    seconds: dict[str, list[float]] = {"convert": [], "decode_and_encode": [], "ffmpeg": []}
    with multiprocessing.get_context("spawn").Pool(_CORES) as pool:
        pool.map(_decode_and_encode, paths[: 4 * _CORES])  # imports, page cache
        work: dict[str, Callable[[], object]] = {
            "convert": convert,
            "decode_and_encode": lambda: pool.map(_decode_and_encode, paths, chunksize=1),
            "ffmpeg": lambda: pool.map(_scale_by_ffmpeg, paths, chunksize=1),
        }
        for _ in range(repeats):
            for name, function in work.items():
                start = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - start)
            shutil.rmtree(out)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        **{f"{name}_seconds": round(median, 2) for name, median in medians.items()},
        "rate_ratio": round(medians["decode_and_encode"] / medians["convert"], 3),
        "ratio_to_ffmpeg": round(medians["ffmpeg"] / medians["convert"], 3),
    }


def _scale_by_ffmpeg(path: str) -> None:
    """Decodes a video, scales it, and writes JPEG files."""
    import imageio_ffmpeg

    short_side = f"min({_SHORT_SIDE},min(iw,ih))"
    smaller = f"if(gte(iw,ih),-2,{short_side})", f"if(gte(iw,ih),{short_side},-2)"
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1", "-i", path),
                *("-vf", f"scale='{smaller[0]}':'{smaller[1]}'", "-q:v", "3", "-threads", "1"),
                f"{out}/%06d.jpg",
            ],
            check=True,
        )


def _decode_and_encode(path: str) -> int:
    """Decodes, shrinks and encodes a video, with the libraries that the conversion uses."""
    import io

    import av
    from PIL import Image

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 1
        size = 0
        for frame in container.decode(stream):
            image = Image.fromarray(frame.to_ndarray(format="rgb24"))
            if min(image.size) > _SHORT_SIDE:
                scale = _SHORT_SIDE / min(image.size)
                shrunk = (round(image.width * scale), round(image.height * scale))
                image = image.resize(shrunk, Image.Resampling.BILINEAR, reducing_gap=3.0)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=90, optimize=True)
            size += buffer.tell()
    return size


def _film(path: pathlib.Path, seconds: int) -> pathlib.Path:
    """Writes a film of 4096x2304 at 25 frames per second that repeats one second."""
    import av

    noise = np.random.default_rng(0).integers(0, 256, (25, 36, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 4096, 2304, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        packets: list[Any] = []
        for small in noise:
            frame = av.VideoFrame.from_ndarray(np.kron(small, np.ones((64, 64, 1), np.uint8)))
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for repeat in range(seconds):
            shift = int(repeat / (packets[0].time_base or Fraction(1, 25)))
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.stream, again.time_base = stream, packet.time_base
                again.pts, again.dts = packet.pts + shift, packet.dts + shift
                again.is_keyframe = packet.is_keyframe
                container.mux(again)
    return path


# Kills.


def _kill(
    listed: pathlib.Path, out: pathlib.Path, expected: str, kills: int, seconds: float
) -> tuple[int, bool]:
    """Kills conversions `kills` times at random; returns whether all end with the same bytes."""
    draw = random.Random(0)
    killed, same = 0, True
    while killed < kills:
        while not (out / "manifest.json").exists():
            process = subprocess.Popen(
                _command(listed, out),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=draw.uniform(0, 0.7 * seconds) if killed < kills else None)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                killed += 1
            elif process.returncode:
                return killed, False
        same = same and _digest(out) == expected
        shutil.rmtree(out)
    return killed, same


if __name__ == "__main__":
    main()

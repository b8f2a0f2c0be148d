"""Measures conversion: speed relative to bare decoding and encoding, peak memory, safety of kills.

```
python benchmarks/convert.py --videos FOLDER   # <class>/<video>, or generated without
python benchmarks/convert.py --quick
```

- Rate: the whole of `keras-t3d convert` with one worker per core, against as many processes that
  only decode, shrink and encode the same frames. They run in turns.
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
from fractions import Fraction
from typing import Any

import numpy as np
from process_family import peak_bytes

_CORES = os.cpu_count() or 1


def main() -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=pathlib.Path, help="folder of <class>/<video>")
    parser.add_argument("--limit", type=int, default=400, help="videos to use at most")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--film-seconds", type=int, default=60, help="length of the 4K film")
    parser.add_argument("--quick", action="store_true", help="a few videos, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.limit, arguments.repeats, arguments.kills, arguments.film_seconds = 16, 1, 2, 1
    with tempfile.TemporaryDirectory() as scratch:
        result = _measure(arguments, pathlib.Path(scratch))
    for name, value in result.items():
        print(f"{name:>28}: {value}")
    print(json.dumps(result))


def _measure(arguments: argparse.Namespace, scratch: pathlib.Path) -> dict[str, object]:
    paths = _videos(arguments.videos, arguments.limit, scratch)
    listed = scratch / "list.csv"
    rows = [f'"{path}",{"ab"[index % 2]},train' for index, path in enumerate(paths)]
    listed.write_text("\n".join(["path,label,split", *rows]))

    whole = scratch / "whole"
    peak = peak_bytes(_command(listed, whole))
    expected = _digest(whole)
    seconds: dict[str, list[float]] = {"convert": [], "alone": []}
    with multiprocessing.get_context("spawn").Pool(_CORES) as pool:
        pool.map(_decode_and_encode, paths[: 4 * _CORES])  # imports, page cache
        for repeat in range(arguments.repeats):
            start = time.perf_counter()
            pool.map(_decode_and_encode, paths, chunksize=1)
            seconds["alone"].append(time.perf_counter() - start)
            start = time.perf_counter()
            out = scratch / f"again{repeat}"
            subprocess.run(_command(listed, out), check=True, capture_output=True)
            seconds["convert"].append(time.perf_counter() - start)
            shutil.rmtree(out)
    medians = {name: statistics.median(values) for name, values in seconds.items()}

    film = _film(scratch / "film.mp4", arguments.film_seconds)
    (scratch / "film.csv").write_text(f'path,label,split\n"{film}",a,train\n"{paths[0]}",b,train\n')
    film_peak = peak_bytes(_command(scratch / "film.csv", scratch / "film"))
    killed, same = _kill(listed, scratch / "killed", expected, arguments.kills, medians["convert"])
    return {
        "videos": len(paths),
        "cores": _CORES,
        "convert_seconds": round(medians["convert"], 2),
        "decode_and_encode_seconds": round(medians["alone"], 2),
        "rate_ratio": round(medians["alone"] / medians["convert"], 3),
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


def _command(listed: pathlib.Path, out: pathlib.Path) -> list[str]:
    workers = ["--layout", "csv", "--workers", str(_CORES)]
    return [sys.executable, "-m", "keras_t3d.cli", "convert", str(listed), str(out), *workers]


def _digest(folder: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


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
            if min(image.size) > 128:
                scale = 128 / min(image.size)
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

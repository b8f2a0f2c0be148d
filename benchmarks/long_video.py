"""Measures memory of `predict --windows --out` and `watch --out` along a long video.

    python benchmarks/long_video.py --minutes 60 --model t3d.tflite
    python benchmarks/long_video.py --quick

The script generates the video by repeating a few encoded seconds. Without `--model`, it exports a
network of a few layers with random weights to LiteRT, because only memory matters here. Each of
the two commands runs in a process of its own that imports no TensorFlow; its resident memory is
recorded at even distances along the video. Linux only: memory is read from /proc. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import turns

_FPS = 25
_LOOP = 4  # seconds that are encoded
_SIZE = (240, 320)

Tell = Callable[[float], None]


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the video")
    parser.add_argument("--model", type=Path, help=".tflite file (default: a tiny network)")
    parser.add_argument("--hop", type=float, help="seconds between windows (default: half of one)")
    parser.add_argument("--points", type=int, default=12, help="measurements along the video")
    parser.add_argument("--quick", action="store_true", help="a tenth of a minute, 3 points")
    options = parser.parse_args(argv)
    if options.quick:
        options.minutes, options.points = 0.1, 3
    machine = turns.machine()
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "long.mp4", options.minutes)
        model = options.model or _in_a_process(_write_model, Path(folder) / "tiny.tflite")
        jobs = {"predict": _predict, "watch": _watch}
        measured = {}
        for name, job in jobs.items():
            result = _in_a_process(_measure, job, model, video, options.hop, options.points)
            measured[name] = result
            print(f"{name}: {result['windows']} windows in {result['seconds']:.0f} s")
            for minute, megabytes in result["megabytes"]:
                print(f"  {minute:8.2f} min  {megabytes:7.1f} MB", flush=True)
    print(json.dumps({"minutes": options.minutes, "machine": machine, **measured}))


def write_video(path: Path, minutes: float) -> Path:
    """Writes an mp4 file of 320x240 at 25 frames per second that repeats a few seconds."""
    import av

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (_LOOP * _FPS, _SIZE[0] // 8, _SIZE[1] // 8, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=_FPS)
        stream.height, stream.width = _SIZE
        stream.pix_fmt = "yuv420p"
        packets: list[Any] = []
        for small in noise:
            picture = np.kron(small, np.ones((8, 8, 1), np.uint8))
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        for repeat in range(max(round(minutes * 60 / _LOOP), 1)):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.stream, again.time_base = stream, packet.time_base
                shift = round(repeat * _LOOP / (packet.time_base or Fraction(1, _FPS)))
                again.pts, again.dts = packet.pts + shift, packet.dts + shift
                again.duration, again.is_keyframe = packet.duration, packet.is_keyframe
                container.mux(again)
    return path


def _in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _write_model(path: Path) -> Path:
    from keras_t3d import ClipSpec
    from keras_t3d.deploy import export_tflite
    from keras_t3d.models import T3D

    spec = ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    model = T3D(
        input_shape=spec.input_shape,
        num_classes=3,
        block_layers=(1, 1),
        growth_rate=4,
        stem_filters=8,
        transition_filters=4,
        clip_spec=spec,
        class_names=["a", "b", "c"],
    )
    export_tflite(model, path)
    return path


# What runs in the processes that are measured.


def _measure(
    job: Callable[..., None], model: Path, video: Path, hop: float | None, points: int
) -> dict[str, Any]:
    from keras_t3d.data import VideoReader
    from keras_t3d.inference import load_predictor

    predictor = load_predictor(model)
    windows, megabytes = 0, [(0.0, turns.resident_megabytes())]
    begun = time.perf_counter()
    with VideoReader(video) as reader:
        length = reader.header.seconds or 0.0

        def tell(seconds: float) -> None:
            nonlocal windows
            windows += 1
            if len(megabytes) < points and seconds >= length * len(megabytes) / points:
                megabytes.append((round(seconds / 60, 3), turns.resident_megabytes()))

        job(predictor, reader, hop, tell)
        megabytes.append((round(length / 60, 3), turns.resident_megabytes()))
    return {
        "windows": windows,
        "seconds": round(time.perf_counter() - begun, 1),
        "megabytes": megabytes,
    }


def _predict(predictor: Any, reader: Any, hop: float | None, tell: Tell) -> None:
    from keras_t3d.inference import (
        Timeline,
        WindowOptions,
        WindowPrediction,
        summarize_windows,
        window_file,
        window_record,
    )

    names = predictor.class_names
    timeline, path = Timeline(names), f"{reader.path}.csv"
    with window_file(path) as write:

        def each(window: WindowPrediction) -> None:
            write(window_record(reader.path, window, names, top=5))
            timeline.add(window)
            tell(window.end)

        summarize_windows(predictor, reader, each, options=WindowOptions(hop=hop))
    os.unlink(path)


def _watch(predictor: Any, reader: Any, hop: float | None, tell: Tell) -> None:
    from keras_t3d.inference import WindowOptions, watch, watch_frames

    path = f"{reader.path}.mp4"
    frames = watch_frames(predictor, reader, options=WindowOptions(hop=hop))
    watch(frames, out=path, on_prediction=lambda frame: tell(frame.end))
    os.unlink(path)


if __name__ == "__main__":
    main()

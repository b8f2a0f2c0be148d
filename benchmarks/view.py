"""Times what lies between a decoded frame and the clip that a model reads.

    python benchmarks/view.py
    python benchmarks/view.py --quick

- The view of 16 frames, in NumPy and in TensorFlow (on one core), beside the algorithm that made
  one output row at a time (`view_row_by_row.py`). All must return the same bytes. Pillow's
  resize with a filter of the same shape is listed to compare; its bytes differ.
- The conversion of a decoded frame to RGB with the stream's scaler of one thread, beside a new one
  per frame that starts as many threads as there are cores, PyAV's default. On all cores.

Each contender has a process of its own; they work in turns. The last line is
one JSON object. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import turns

_SIZES = {"170x128": (128, 170), "320x240": (240, 320), "1080p": (1080, 1920)}
_FRAMES = 16
_EXACT = ("row_by_row", "numpy", "tensorflow")


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender")
    parser.add_argument("--resize", type=int, default=128, help="short side of the view")
    parser.add_argument("--crop", type=int, default=112, help="side of the view's crop")
    parser.add_argument("--quick", action="store_true", help="one small size, 2 rounds")
    options = parser.parse_args(argv)
    sizes = dict(_SIZES)
    if options.quick:
        options.rounds, sizes = 2, {"170x128": _SIZES["170x128"]}
    machine = turns.machine()
    view = options.resize, options.crop
    views = {name: _views(name, size, view, options.rounds) for name, size in sizes.items()}
    colours = {name: _colours(name, size, options.rounds) for name, size in sizes.items()}
    print(json.dumps({"view": view, "machine": machine, "views": views, "colours": colours}))


def _views(name: str, size: tuple[int, int], view: tuple[int, int], rounds: int) -> dict[str, Any]:
    entries = {kind: (build_view, kind, size, view) for kind in (*_EXACT, "pillow")}
    with _one_core():
        race = turns.race(entries, rounds, in_a_row=5)
    digests = {race.facts[kind]["digest"] for kind in _EXACT if kind in race.facts}
    times = {kind: round(time / _FRAMES, 4) for kind, time in race.milliseconds.items()}
    result = {
        "milliseconds": times,
        "unavailable": race.unavailable,
        "same_bytes": len(digests) == 1,
        "row_by_row_to_numpy": turns.ratio(times.get("row_by_row"), times.get("numpy")),
    }
    turns.print_table(f"view of a frame of {name}", result)
    return result


def _colours(name: str, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    entries = {kind: (build_colours, kind, size) for kind in ("new_scaler", "kept_scaler")}
    race = turns.race(entries, rounds, in_a_row=5)
    times = {kind: round(time / _FRAMES, 4) for kind, time in race.milliseconds.items()}
    result = {
        "milliseconds": times,
        "unavailable": race.unavailable,
        "same_bytes": len({facts["digest"] for facts in race.facts.values()}) == 1,
        "new_to_kept": turns.ratio(times.get("new_scaler"), times.get("kept_scaler")),
    }
    turns.print_table(f"RGB from a frame of {name}", result)
    return result


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Processes that are started in here have one core: libraries count cores when they load."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def build_view(
    kind: str, size: tuple[int, int], view: tuple[int, int]
) -> tuple[dict[str, Any], turns.Step]:
    """Returns the digest of a view, and a step that takes it of 16 frames."""
    from keras_t3d.clips import ClipSpec, resized_size, take_view

    spec = ClipSpec(num_frames=_FRAMES, frame_stride=1, resize=view[0], crop=view[1])
    frames = _noise(_FRAMES, *size, 3)
    if kind == "numpy":

        def step() -> np.ndarray:
            return take_view(frames, spec)

    elif kind == "row_by_row":
        import view_row_by_row

        def step() -> np.ndarray:
            return view_row_by_row.take_view(frames, spec)

    elif kind == "tensorflow":
        import tensorflow as tf

        from keras_t3d.clips import take_view_tensorflow

        compiled = tf.function(lambda frames: take_view_tensorflow(frames, spec))
        tensor = tf.constant(frames)

        def step() -> np.ndarray:
            return compiled(tensor).numpy()

    else:
        from PIL import Image

        height, width = resized_size(*size, spec.resize)

        def step() -> np.ndarray:
            images = [Image.fromarray(frame) for frame in frames]
            filter_ = Image.Resampling.BILINEAR
            return np.stack(
                [np.asarray(image.resize((width, height), filter_)) for image in images]
            )

    return {"digest": _digest(step())}, step


def build_colours(kind: str, size: tuple[int, int]) -> tuple[dict[str, Any], turns.Step]:
    """Returns the digest of the pixels of 16 decoded frames, and a step that converts them."""
    import av

    from keras_t3d.data.video.rgb import RgbConverter

    luma = _noise(_FRAMES, size[0] * 3 // 2, size[1])
    target = size[1], size[0]

    def step() -> list[np.ndarray]:
        # New frames each time, because PyAV's frames keep their scaler.
        frames = [av.VideoFrame.from_ndarray(pixels, format="yuv420p") for pixels in luma]
        if kind == "kept_scaler":
            converter = RgbConverter("noise")
            return [converter.pixels(frame, target) for frame in frames]
        return [
            frame.to_ndarray(format="rgb24", width=target[0], height=target[1]) for frame in frames
        ]

    return {"digest": _digest(np.stack(step()))}, step


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


if __name__ == "__main__":
    main()

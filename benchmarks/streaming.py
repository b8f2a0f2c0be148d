"""Times a frame of a stream in LiteRT beside sliding windows of the same network, in one run.

A window is computed anew at every step: with a hop of one step, each frame is in as many windows
as the clip has steps. `step_without_state` is the network for a clip of one step, which keeps
nothing: what a stream takes more is the price of its state and of the taps that read it. All files
are run as an application does, with the state as inputs and outputs. Several sizes, and networks of
several `--options`, take turns in one run. `--beside` times a stream of another project too, whose
state has the same names before and after a step.

With `--steps` nothing is timed: frames are pushed into an int8 stream in a process that imports no
TensorFlow, whose resident memory is recorded after each tenth of the steps. Linux only.

    python benchmarks/streaming.py
    python benchmarks/streaming.py --sizes 128 --options '{}' '{"stem_stride": [1, 2, 2]}'
    python benchmarks/streaming.py --sizes 128 --beside movinet_a0_stream_128.tflite
    python benchmarks/streaming.py --sizes 128 --steps 100000
    python benchmarks/streaming.py --quick
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import turns

_IN_A_ROW = 10
_CLIPS = 2  # of four clips' length, that ranges are taken from
_FRAMES = 16  # of a camera, which are pushed again and again


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is timed.

    Attributes:
        model: name of the configuration.
        frames: frames of a window.
        size: height and width in pixels.
        options: further options.
    """

    model: str
    frames: int
    size: int
    options: dict[str, Any]

    def build(self, frames: int) -> Any:
        """Builds it for clips of so many frames."""
        import keras

        from keras_t3d import models

        keras.utils.set_random_seed(0)
        shape = (frames, self.size, self.size, 3)
        return models.create(self.model, shape, 21, causal=True, **self.options)


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="t3d_lite0")
    parser.add_argument(
        "--options", type=json.loads, nargs="+", default=[{}], help="of each network, as JSON"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224], help="pixels")
    parser.add_argument("--frames", type=int, default=16, help="frames of a window")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--beside", type=Path, help="another .tflite file, timed in the same run")
    parser.add_argument("--steps", type=int, help="push so many, and report memory instead")
    parser.add_argument("--quick", action="store_true", help="small, to test the script")
    options = parser.parse_args(argv)
    if options.quick:
        options.sizes, options.frames, options.rounds = [32], 8, 1
        options.options = [{**each, "width": 0.1, "depth": 0.2} for each in options.options]
    machine = turns.machine()
    if options.steps is None:
        results = _measure(options)
    else:
        results = {name: _measure_memory(each, options) for name, each in _networks(options)}
    for name, result in results.items():
        if options.steps is None:
            turns.print_table(f"{options.model}, {name}", result)
        else:
            print(f"{options.model}, {name}, resident MB: {result}", flush=True)
    arguments = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name != "quick"
    }
    print(json.dumps({**arguments, "machine": machine, "networks": results}))


def _networks(options: argparse.Namespace) -> list[tuple[str, Network]]:
    """Returns the networks of all sizes and options, by what they are."""
    return [
        (
            f"{size} px {json.dumps(own) if own else ''}".strip(),
            Network(options.model, options.frames, size, own),
        )
        for own in options.options
        for size in options.sizes
    ]


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times the files of all networks in turns."""
    networks = _networks(options)
    with tempfile.TemporaryDirectory() as folder:
        entries: dict[str, tuple[Any, ...]] = {}
        facts: dict[str, dict[str, Any]] = {}
        for name, network in networks:
            own = Path(folder, str(len(facts)))
            own.mkdir()
            facts[name] = turns.facts_of(_write, str(own), network)
            for path in sorted(own.glob("*.tflite")):
                entries[f"{name}: {path.stem}"] = (_runner, str(path), options.threads)
        if options.beside is not None:
            entries["beside"] = (_runner, str(options.beside.resolve()), options.threads)
        race = turns.race(entries, options.rounds, _IN_A_ROW)
    return {name: _ratios(name, facts[name], race) for name, _ in networks}


def _ratios(name: str, facts: dict[str, Any], race: turns.Race) -> dict[str, Any]:
    """Returns the times of a network's files, and how they compare."""
    all_times = {
        form.removeprefix(f"{name}: "): turns_of
        for form, turns_of in race.times.items()
        if form.startswith(f"{name}: ") or form == "beside"
    }
    times = {form: round(statistics.median(all_), 3) for form, all_ in all_times.items()}
    least = {form: round(min(all_), 3) for form, all_ in all_times.items()}
    step, frames = times.get("stream_int8"), facts["frames_per_step"]
    return {
        "milliseconds": times,  # of a step, or of a window
        "least_milliseconds": least,  # which other load disturbs least
        "unavailable": race.unavailable,
        **facts,
        "least_window_to_step_int8": turns.ratio(
            least.get("windows_int8"), least.get("stream_int8")
        ),
        "window_to_step_int8": turns.ratio(times.get("windows_int8"), step),
        "window_to_step_float32": turns.ratio(
            times.get("windows_float32"), times.get("stream_float32")
        ),
        "step_to_step_without_state": turns.ratio(step, times.get("step_without_state_int8")),
        "int8_milliseconds_per_frame": turns.ratio(step, frames),
        "int8_frames_per_second": turns.ratio(1000.0 * frames, step),
    }


def _measure_memory(network: Network, options: argparse.Namespace) -> list[float]:
    """Returns the resident megabytes after the first step and after each tenth of the steps."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "stream.tflite"))
        turns.facts_of(_export, path, network)
        megabytes: list[float] = turns.facts_of(_push, path, options.steps)["megabytes"]
    return megabytes


# What the contenders' processes run.


def _write(folder: str, network: Network) -> tuple[dict[str, Any], turns.Step]:
    """Writes all files; returns the frames and the bytes of the state of a step."""
    from keras_t3d.deploy.integer_conversion import IntegerConversion
    from keras_t3d.deploy.options import TFLiteOptions
    from keras_t3d.deploy.tflite_conversion import convert
    from keras_t3d.deploy.tflite_forms import ClipForm, LiteRTForm, StepForm
    from keras_t3d.streaming import StreamingForm

    stream = StreamingForm(network.build(network.frames))
    forms: dict[str, LiteRTForm] = {
        "stream": StepForm(stream),
        "windows": ClipForm(stream.model),
        "step_without_state": ClipForm(network.build(stream.frames_per_step)),
    }
    for name, form in forms.items():
        clips = _noise(_CLIPS, *form.clip_spec.input_shape)
        int8 = IntegerConversion(form, clips).convert(TFLiteOptions("int8"))
        Path(folder, f"{name}_int8.tflite").write_bytes(int8)
        Path(folder, f"{name}_float32.tflite").write_bytes(convert(form, "none"))
    vectors = set(StepForm(stream).vector_inputs)
    sizes = {name: int(np.prod(shape)) for name, shape in stream.state_shapes.items()}
    state_bytes = sum((4 if name in vectors else 1) * count for name, count in sizes.items())
    return {"frames_per_step": stream.frames_per_step, "state_bytes": state_bytes}, int


def _export(path: str, network: Network) -> tuple[dict[str, Any], turns.Step]:
    """Writes a stream in integers."""
    from keras_t3d.deploy import TFLiteOptions, export_tflite

    model = network.build(network.frames)
    clips = _noise(_CLIPS, 4 * network.frames, *model.clip_spec.input_shape[1:])
    options = TFLiteOptions("int8", streaming=True)
    export_tflite(model, path, calibration=clips, options=options)
    return {}, int


def _push(path: str, steps: int) -> tuple[dict[str, Any], turns.Step]:
    """Returns the resident memory while frames are pushed."""
    from keras_t3d.inference import Stream

    stream = Stream(path)
    frames = _noise(_FRAMES, 240, 320, 3)
    needed = stream.frames_per_step * stream.clip_spec.frame_stride
    tenths = [steps * part // 10 for part in range(1, 11)]
    megabytes = []
    for step in range(1, steps + 1):
        for number in range(needed):
            stream.push(frames[(needed * step + number) % _FRAMES])
        if step == 1 or step in tenths:
            megabytes.append(turns.resident_megabytes())
    return {"megabytes": megabytes}, int


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _runner(path: str, threads: int) -> tuple[dict[str, Any], turns.Step]:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(path, num_threads=threads)
    step = run.get_signature_runner()
    inputs = {
        key: np.full(details["shape"], details["quantization"][1], details["dtype"])
        for key, details in step.get_input_details().items()
    }

    def once() -> None:
        outputs = step(**inputs)
        inputs.update({key: value for key, value in outputs.items() if key in inputs})

    once()
    return {}, once


if __name__ == "__main__":
    main()

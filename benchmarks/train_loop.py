"""Measures the overhead of `keras_t3d.training.train` over its bare compiled step.

```
python benchmarks/train_loop.py                                 # 3D ResNet-18, two cores: minutes
python benchmarks/train_loop.py --devices 4 --batch-size 32 --dtype mixed_bfloat16 --steps 200
python benchmarks/train_loop.py --quick
```

- `bare`: the step of the same configuration on one batch in memory: forward, loss, backward,
  update. No metrics, no input, no callbacks.
- `loop`: runs of `train` as a user starts them, on shards of the generated motion set, with its
  default augmentation, callbacks, validation and checkpoints. Times come from the run's
  `history.csv`, median over its epochs except the first, which compiles.

They run in turns in one process: bare, loop, bare, loop, ..., bare. Each run of the loop is
compared with the bare steps just before and after it, whose difference shows how noisy the machine
is. `overhead_percent` is the extra time for the same clips. It excludes the end of an epoch:
`validation_seconds` from the history, `files_seconds` (history, curves, models, TensorBoard,
checkpoint) from the times at which checkpoints were written.

`--devices N` repeats this on 1, 2, ..., N devices with `--batch-size` clips on each: GPUs, or
without any, logical CPU devices, which share the same cores and so show that it works, not that it
scales. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import turns

_ALLOWED = 5.0  # percent of overhead that was asked for, where the network is the bottleneck
_WARM_UP = 3  # bare steps
_VALIDATION_PER_CLASS = 4
_FRAMES_OF_A_VIDEO = 32


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    options = _options(argv)
    machine = turns.machine()
    measured: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for count in range(1, options.devices + 1):
            folder = Path(scratch) / f"devices{count}"
            shards = _make_shards(folder, options, count)
            measured[count] = turns.facts_of(_measure, folder, shards, options, count)
            _print(count, measured)
    result = {
        "network": options.network,
        "input_shape": [options.frames, options.size, options.size, 3],
        "dtype": options.dtype,
        "batch_size_per_device": options.batch_size,
        "repeats": options.repeats,
        "allowed_percent": _ALLOWED,
        "machine": machine,
        "devices": measured,
    }
    print(json.dumps(result))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet3d_18", help="of keras_t3d.models")
    parser.add_argument("--batch-size", type=int, default=8, help="clips on each device")
    parser.add_argument("--size", type=int, default=112, help="pixels of a clip's side")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--dtype", default="float32", help="or mixed_bfloat16, mixed_float16")
    parser.add_argument("--devices", type=int, default=1, help="measure on 1 to N devices")
    parser.add_argument("--steps", type=int, default=24, help="of an epoch, at least")
    parser.add_argument("--epochs", type=int, default=4, help="of a run; the first is left out")
    parser.add_argument("--repeats", type=int, default=3, help="runs of train")
    parser.add_argument("--quick", action="store_true", help="a small network, one short run")
    options = parser.parse_args(argv)
    if options.quick:
        options.network, options.batch_size, options.size, options.frames = "t3d_tiny", 4, 32, 8
        options.steps, options.epochs, options.repeats = 4, 2, 1
    if options.epochs < 2:
        parser.error(f"--epochs must be at least 2, as the first is left out: {options.epochs}")
    for name in ("batch_size", "devices", "steps", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1: {getattr(options, name)}")
    return options


def _resize(options: argparse.Namespace) -> int:
    return round(options.size * 8 / 7)  # 128 for 112


def _make_shards(folder: Path, options: argparse.Namespace, devices: int) -> Path:
    """Writes enough videos for the steps of an epoch."""
    from keras_t3d.data import ConversionOptions, convert
    from keras_t3d.motion_set import MOTION_CLASSES, write_motion_set

    side = _resize(options) + _resize(options) % 2
    videos = options.steps * options.batch_size * devices
    counts = {"train": -(-videos // len(MOTION_CLASSES)), "val": _VALIDATION_PER_CLASS}
    workers = os.cpu_count() or 1
    write_motion_set(
        folder / "videos", counts, num_frames=_FRAMES_OF_A_VIDEO, size=side, workers=workers
    )
    convert(folder / "videos", folder / "shards", ConversionOptions(short_side=side))
    return folder / "shards"


def _print(count: int, measured: dict[int, dict[str, Any]]) -> None:
    figures = measured[count]
    bare, loop = figures["bare_clips_per_second"], figures["loop_clips_per_second"]
    print(f"{count} devices: {', '.join(figures['names'])}")
    print(f"  bare step      {bare:9.2f} clips/s  (runs {figures['bare_runs']})")
    print(f"  train()        {loop:9.2f} clips/s  (runs {figures['loop_runs']})")
    print(
        f"  overhead       {figures['overhead_percent']:9.2f} %  ({figures['overheads_percent']})"
    )
    print(f"  waiting        {100 * figures['data_wait']:9.2f} % of the time, for clips")
    print(
        f"  an epoch       {figures['training_seconds']:9.2f} s of {figures['steps']} steps, then "
        f"{figures['validation_seconds']:.2f} s of validation, {figures['files_seconds']:.2f} s "
        "of files"
    )
    if count > 1:
        alone = measured[1]["loop_clips_per_second"]
        figures["to_one_device"] = round(loop / alone, 3)
        print(f"  to one device  {figures['to_one_device']:9.2f} times, of {count} at best")


# What the process of each number of devices runs.


def _measure(
    folder: Path, shards: Path, options: argparse.Namespace, count: int
) -> tuple[dict[str, Any], turns.Step]:
    _use_devices(count)
    from bare_step import bare_step

    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training import train
    from keras_t3d.training.clips import training_reader
    from keras_t3d.training.devices import find_devices

    devices = find_devices()
    if devices.count != count:
        raise ValueError(f"--devices must be at most the {devices.count} of this machine")
    config = _config(shards, options, count)
    batch_size = config.data.batch_size
    steps = training_reader(config, ShardSet.open(shards)).steps_per_epoch
    seconds = bare_step(config, ShardSet.open(shards), devices)

    def bare_rate() -> float:
        gc.collect()  # ends the threads of the run before
        seconds(_WARM_UP)
        return batch_size * steps / seconds(steps)

    bare, loop = [bare_rate()], []
    for repeat in range(options.repeats):
        run_dir = folder / f"run{repeat}"
        train(config, run_dir)
        loop.append(_figures(run_dir, steps * batch_size))
        bare.append(bare_rate())
    medians = {
        name: round(statistics.median(figures[name] for figures in loop), 4) for name in loop[0]
    }
    overheads = [
        100 * (statistics.mean(around) / figures["loop_clips_per_second"] - 1)
        for around, figures in zip(itertools.pairwise(bare), loop, strict=True)
    ]
    facts = {
        "names": list(devices.names),
        "steps": steps,
        "bare_clips_per_second": round(statistics.median(bare), 3),
        **medians,
        "overhead_percent": round(statistics.median(overheads), 2),
        "overheads_percent": [round(overhead, 2) for overhead in overheads],
        "bare_runs": [round(rate, 2) for rate in bare],
        "loop_runs": [round(figures["loop_clips_per_second"], 2) for figures in loop],
    }
    return facts, int


def _use_devices(count: int) -> None:
    """Selects the first GPUs, or creates logical CPUs; call it before the backend uses devices."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", count)
        jax.config.update("jax_cuda_visible_devices", ",".join(map(str, range(count))))
        return
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[:count], "GPU")
        return
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)


def _config(shards: Path, options: argparse.Namespace, devices: int) -> Any:
    from keras_t3d.training.command_line import config_parser, parse_config

    words = {
        "model.name": options.network,
        "model.dtype": options.dtype,
        "clip.num_frames": options.frames,
        "clip.frame_stride": 1,
        "clip.resize": _resize(options),
        "clip.crop": options.size,
        "data.shards": shards,
        "data.batch_size": options.batch_size * devices,
        "optimizer.learning_rate": 0.01,
        "checkpoints.keep": options.epochs,  # their times say when epochs ended
        "epochs": options.epochs,
    }
    flags = [f"--{name}={value}" for name, value in words.items()]
    return parse_config(config_parser(), flags)[0]


def _figures(run_dir: Path, clips: int) -> dict[str, float]:
    """Returns medians over the epochs of a run, from its files."""
    from keras_t3d.training.checkpoints import checkpoint_paths
    from keras_t3d.training.run_directory import read_history

    ended = [path.stat().st_mtime for path in checkpoint_paths(run_dir)]
    epochs = []
    for row, (before, after) in zip(
        read_history(run_dir)[1:], itertools.pairwise(ended), strict=True
    ):
        training = clips / row["clips_per_second"]
        epochs.append(
            {
                "loop_clips_per_second": row["clips_per_second"],
                "data_wait": row["data_wait"],
                "training_seconds": training,
                "validation_seconds": row["seconds"] - training,
                "files_seconds": after - before - row["seconds"],
            }
        )
    return {name: statistics.median(epoch[name] for epoch in epochs) for name in epochs[0]}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()

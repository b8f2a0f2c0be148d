"""The command `keras-t3d`: reads the command line, calls the library, says what came of it."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keras_t3d.data.sources.layouts import LAYOUTS
from keras_t3d.version import __version__

if TYPE_CHECKING:
    from keras_t3d.data.conversion_report import ConversionReport


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `keras-t3d`. Defaults to the process's own.

    Returns:
        The exit status: 0, 1 where the command failed, 130 where it was stopped.
    """
    # TensorFlow's start-up messages would bury ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):  # a file's name need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["train"]:  # its options are the fields of the configuration
            _train(argv[1:])
        elif argv[:1] == ["pretrain"]:
            _pretrain(argv[1:])
        elif argv[:1] == ["convert"] and "--" in argv:  # what follows is for Beam
            words, options = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
            _convert(_parser().parse_args(words), options)
        else:
            arguments = _parser().parse_args(argv)
            arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nkeras-t3d: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if not _is_users(error):
            raise
        print(f"keras-t3d: error: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} (KERAS_T3D_DEBUG=1 shows more)"


def _is_users(error: Exception) -> bool:
    """Whether the message is meant for users; a defect of ours keeps its traceback."""
    debugging = os.environ.get("KERAS_T3D_DEBUG", "0") not in ("", "0")
    return isinstance(error, (ValueError, OSError, RuntimeError, ImportError)) and not debugging


class CommandError(RuntimeError):
    """A command did its work in part; the message says what failed."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-t3d",
        description="Video classification with 3D networks: convert, train, evaluate, export.",
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-t3d {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demo = _command(commands, "demo", _demo, "run the whole path on generated videos")
    demo.add_argument("--out", default="demo", metavar="DIR", help="new folder for everything")
    demo.add_argument("--seed", type=int, default=0, help="seed of videos and training")
    demo.add_argument("--quick", action="store_true", help="seconds, not minutes: learns little")

    _add_convert(commands)

    inspect = _command(commands, "inspect", _inspect, "say what shards hold")
    inspect.add_argument("shards", metavar="SHARDS", help="folder that `convert` wrote")
    inspect.add_argument(
        "--verify",
        action="store_true",
        help="read all: compare the checksums, say the sizes and lengths of the videos",
    )
    inspect.add_argument("--sheet", metavar="PNG", help="write a picture of some videos of a class")
    inspect.add_argument("--seed", type=int, default=0, help="seed of the videos on the sheet")

    # Stand here for the list of commands only: `main` hands their words on.
    commands.add_parser("pretrain", help="learn from clips without labels, taught by a 2D network")
    commands.add_parser("train", help="train on shards; the same command again goes on")

    _add_import_weights(commands)

    evaluate = _command(commands, "evaluate", _evaluate, "score the videos of a split")
    evaluate.add_argument("model", metavar="MODEL", help=_MODEL)
    evaluate.add_argument("shards", metavar="SHARDS", help="folder that `convert` wrote")
    evaluate.add_argument("--split", default="test", choices=("train", "val", "test"), help="which")
    evaluate.add_argument(
        "--protocol",
        default="views",
        choices=("views", "t3d", "stc"),
        help="views: N clips x M crops; t3d, stc: as in the papers, every frame, centre crop",
    )
    evaluate.add_argument(
        "--views", type=int, metavar="N", help="clips of each video, spread over it (default: 1)"
    )
    evaluate.add_argument(
        "--crops", type=int, choices=(1, 3, 5), help="crops of each clip (default: 1)"
    )
    evaluate.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="views scored at once"
    )
    evaluate.add_argument("--out", required=True, metavar="DIR", help="folder of the report")

    predict = _command(commands, "predict", _predict, "say what happens in videos")
    predict.add_argument("model", metavar="MODEL", help=_MODEL)
    predict.add_argument("videos", metavar="VIDEO", nargs="+", help="video files")
    predict.add_argument("--top", type=int, default=5, metavar="K", help="classes to name")
    predict.add_argument(
        "--views", type=int, metavar="N", help="clips to score (default: cover the video, up to 10)"
    )
    predict.add_argument("--json", action="store_true", help="one JSON object a line")

    export = commands.add_parser("export", help="write a model for serving or for devices")
    formats = export.add_subparsers(metavar="FORMAT", required=True)
    saved_model = _command(formats, "saved-model", _export_saved_model, "for TF Serving")
    saved_model.add_argument("model", metavar="MODEL", help=".keras file")
    saved_model.add_argument(
        "out", metavar="OUT", help="folder of versions: writes OUT/1, OUT/2..."
    )
    saved_model.add_argument("--calibration", metavar="SHARDS", help=_CALIBRATION)
    tflite = _command(formats, "tflite", _export_tflite, "for LiteRT (TensorFlow Lite)")
    tflite.add_argument("model", metavar="MODEL", help=".keras file")
    tflite.add_argument("out", metavar="OUT.tflite", help="file to write")
    tflite.add_argument(
        "--quantization", default="none", choices=("none", "float16"), help="precision of weights"
    )
    tflite.add_argument("--calibration", metavar="SHARDS", help=_CALIBRATION)
    return parser


def _add_convert(commands: Any) -> None:
    convert = _command(commands, "convert", _convert, "videos to clip shards")
    convert.add_argument(
        "source", metavar="SOURCE", help="folder or csv file that lists the videos"
    )
    convert.add_argument("out", metavar="OUT", help="new folder for the shards")
    convert.add_argument(
        "--layout",
        default="folder",
        choices=LAYOUTS,
        help="folder: <split>/<class>/<video> or <class>/<video>; csv: columns path,label,split "
        "and maybe start,end in seconds; unlabelled: videos anywhere below a folder; the others as "
        "the datasets are published",
    )
    convert.add_argument(
        "--annotations", metavar="PATH", help="folder or file of the dataset's official lists"
    )
    convert.add_argument(
        "--split-id", type=int, metavar="N", help="which of the dataset's official splits, 1 to 3"
    )
    convert.add_argument(
        "--split-ratio",
        metavar="R",
        help="where no splits are named: share of training videos (0.8), or train:val:test "
        "(0.7:0.1:0.2), decided by a hash of each video's name",
    )
    convert.add_argument(
        "--group-regex",
        metavar="RE",
        help="with --split-ratio: videos whose names give the same first group stay together",
    )
    convert.add_argument(
        "--short-side", type=int, default=128, metavar="PIXELS", help="frames are shrunk to this"
    )
    convert.add_argument("--jpeg-quality", type=int, default=90, metavar="Q", help="1 to 100")
    convert.add_argument(
        "--max-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="longer videos are cut into records of at most this length",
    )
    convert.add_argument("--seed", type=int, default=0, help="seed of the order in the shards")
    convert.add_argument(
        "--workers", type=int, metavar="N", help="decoding processes (default: the cores)"
    )
    convert.add_argument(
        "--time-limit",
        type=float,
        default=120.0,
        metavar="S",
        help="a video that gives no further frame for this many seconds is rejected",
    )
    convert.add_argument(
        "--runner",
        default="local",
        choices=("local", "beam"),
        help="beam: on a cluster, with Apache Beam's own options after `--`",
    )
    convert.add_argument(
        "--videos-at",
        metavar="PLACE",
        help="with --runner beam: where the workers find SOURCE, a folder or gs://...",
    )
    convert.add_argument(
        "--max-rejects", type=int, metavar="N", help="more rejects than this fail the run"
    )


def _add_import_weights(commands: Any) -> None:
    weights = _command(
        commands, "import-weights", _import_weights, "start from a PyTorch checkpoint"
    )
    weights.add_argument(
        "checkpoint", metavar="CHECKPOINT", help=".pth, .pt, .tar or .safetensors file"
    )
    weights.add_argument("out", metavar="OUT.keras", help="file to write")
    weights.add_argument(
        "--model", required=True, metavar="NAME", help="network, such as resnet3d_18 or r3d_18"
    )
    weights.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="another number than the checkpoint's makes the classifying layer fresh",
    )
    weights.add_argument(
        "--normalization",
        choices=("kinetics", "activitynet", "torchvision"),
        help="what Hara et al.'s checkpoints were trained on: activitynet in 2017 and 2018, "
        "kinetics in 2020",
    )


_MODEL = ".keras file, SavedModel folder or .tflite file"
_CALIBRATION = "compare on clips of these shards, not on generated ones"


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says a default only where there is one to say."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, argparse.SUPPRESS) or action.required:
            return action.help
        return super()._get_help_string(action)


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help_text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}.",
        formatter_class=_Formatter,
    )
    parser.set_defaults(run=run)
    return parser


def _import_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages, which no setting of its own silences."""
    standard_error = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


# One function a command: late imports, one call, what came of it.


def _demo(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.demo import run_demo

    run_demo(arguments.out, _progress, seed=arguments.seed, quick=arguments.quick)


def _convert(arguments: argparse.Namespace, beam_options: Sequence[str] = ()) -> None:
    options = vars(arguments).copy()
    del options["run"]
    if options.pop("runner") == "beam":
        report = _convert_with_beam(options, beam_options)
    else:
        report = _convert_here(options, beam_options)
    counts = ", ".join(f"{count} {split}" for split, count in report.videos.items() if count)
    print(f"Wrote {report.folder}: {counts} videos, {report.bytes / 2**20:.1f} MiB of shards")
    if report.cut:
        parts = sum(report.cut.values())
        print(f"{len(report.cut)} longer than {arguments.max_seconds:g} s: cut into {parts} parts")
    if report.rejects:
        print(f"{len(report.rejects)} files rejected: see {report.folder}/rejects.csv")
    for video in report.damaged:
        print(f"Damaged, converted as far as it decodes: {video['video']} ({video['reason']})")


def _convert_here(options: dict[str, Any], beam_options: Sequence[str]) -> ConversionReport:
    from keras_t3d.data.conversion import convert

    if beam_options or options.pop("videos_at"):
        raise ValueError(
            "--videos-at, and options after `--`, are for Apache Beam: add --runner beam. "
            f"Received: --runner local, {list(beam_options)}"
        )
    with _progress("converting", "videos") as progress:
        return convert(**options, progress=progress)


def _convert_with_beam(options: dict[str, Any], beam_options: Sequence[str]) -> ConversionReport:
    from keras_t3d.data.beam import convert_with_beam

    if options.pop("workers"):
        raise ValueError(
            "--workers is for --runner local: Beam's runners have options of their own, such as "
            "`-- --direct_num_workers 4`. Received: --runner beam with --workers"
        )
    return convert_with_beam(**options, beam_options=beam_options)


def _inspect(arguments: argparse.Namespace) -> None:
    from keras_t3d.data.inspection import contact_sheet, summarize
    from keras_t3d.data.shards.shard_set import ShardSet

    shards = ShardSet.open(arguments.shards)
    splits = shards.manifest["splits"]
    width = max(len(name) for name in (*shards.class_names, "class"))
    print(f"{'class':{width}}" + "".join(f"{split:>8}" for split in splits))
    for name in shards.class_names:
        print(f"{name:{width}}" + "".join(f"{s['per_class'][name]:8}" for s in splits.values()))
    print(f"{'':{width}}" + "".join(f"{split['videos']:8}" for split in splits.values()))
    size = sum(shard["bytes"] for shard in shards.manifest["shards"]) / 2**20
    print(
        f"{len(shards.manifest['shards'])} shards, {size:.1f} MiB, frames of short side up to "
        f"{shards.short_side}; {shards.manifest['rejected']} rejected, "
        f"{len(shards.manifest['damaged'])} damaged"
    )
    if arguments.verify:
        damaged = shards.damaged_shards()
        if damaged:
            raise CommandError(f"Damaged shards: {', '.join(damaged)}")
        print("Every shard has its checksum.")
        with _progress("reading", "videos") as progress:
            lines = summarize(shards, progress).lines()
        print("\n".join(lines))
    if arguments.sheet:
        left_out = contact_sheet(shards, arguments.sheet, arguments.seed)
        print(f"Wrote {arguments.sheet}" + (f", without {left_out} classes" if left_out else ""))


def _train(argv: Sequence[str]) -> None:
    from keras_t3d.training.command_line import config_parser, parse_config

    parser = config_parser(
        prog="keras-t3d train",
        description="Train on shards; the same command again goes on where the run was.",
    )
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument("--init", metavar="MODEL", help=".keras file whose weights to start from")
    parser.add_argument(
        "--profile", action="store_true", help="trace some steps for TensorBoard's profiler"
    )
    config, others = parse_config(parser, argv)
    if others["run_dir"] is None:
        raise ValueError("train needs a folder for the run, for example --run-dir runs/a")
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        _import_tensorflow()
    from keras_t3d.training.train import main as train_and_report

    train_and_report(config, others["run_dir"], others["init"], others["profile"])


def _pretrain(argv: Sequence[str]) -> None:
    from keras_t3d.training.command_line import config_parser, parse_config
    from keras_t3d.training.pretrain_config import PretrainConfig

    parser = config_parser(
        prog="keras-t3d pretrain",
        description="Learn from shards without their labels, taught by a frozen 2D network; the "
        "same command again goes on where the run was. Then: keras-t3d train --init "
        "RUN/student.keras.",
        config_class=PretrainConfig,
    )
    parser.add_argument("--run-dir", metavar="DIR", help="folder of the run (required)")
    parser.add_argument(
        "--cache-features",
        dest="caches",
        action="store_true",
        help="as --cache_features true: compute the teacher's features once, of the centre view",
    )
    config, others = parse_config(parser, argv, PretrainConfig)
    if others["run_dir"] is None:
        raise ValueError("pretrain needs a folder for the run, for example --run-dir runs/pre")
    if others["caches"]:
        config = dataclasses.replace(config, cache_features=True)
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        _import_tensorflow()
    from keras_t3d.training.pretrain import main as pretrain_and_report

    pretrain_and_report(config, others["run_dir"], _progress)


def _import_weights(arguments: argparse.Namespace) -> None:
    if not arguments.out.endswith(".keras"):
        raise ValueError(f"OUT must end in .keras, as in start.keras. Received: {arguments.out!r}")
    _import_tensorflow()
    from keras_t3d.atomic import written_beside
    from keras_t3d.transfer import import_weights

    imported = import_weights(
        arguments.checkpoint,
        arguments.model,
        num_classes=arguments.num_classes,
        normalization=arguments.normalization,
    )
    with written_beside(arguments.out) as part:
        imported.model.save(part)
    print(f"Wrote {arguments.out}\n{imported}")


def _evaluate(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.evaluation.report import FILES
    from keras_t3d.training.evaluate import evaluate

    with _progress("evaluating", "videos") as progress:
        metrics = evaluate(
            arguments.model,
            arguments.shards,
            arguments.split,
            arguments.out,
            protocol=arguments.protocol,
            num_views=arguments.views,
            num_crops=arguments.crops,
            batch_size=arguments.batch_size,
            progress=progress,
        )
    low, high = metrics["intervals"]["top1"]
    top5 = f", top-5 {metrics['top5']:.4f}" if "top5" in metrics else ""
    print(
        f"{metrics['videos']} videos: top-1 {metrics['top1']:.4f} (95 % interval {low:.4f} to "
        f"{high:.4f}){top5}, mean class accuracy {metrics['mean_class_accuracy']:.4f}, "
        f"ECE {metrics['calibration']['ece']:.4f}"
    )
    print(f"Wrote {os.path.join(arguments.out, 'index.html')}, {', '.join(FILES[:-1])}")


def _predict(arguments: argparse.Namespace) -> None:
    from keras_t3d.data.video import VideoError
    from keras_t3d.inference import load_predictor, predict_video

    if not arguments.model.endswith(".tflite"):
        _import_tensorflow()
    predictor = load_predictor(arguments.model)
    unreadable = 0
    for video in arguments.videos:
        try:
            classes = predict_video(predictor, video, arguments.top, arguments.views)
        except VideoError as error:
            if len(arguments.videos) == 1:
                raise
            unreadable += 1
            print(f"keras-t3d: {error}", file=sys.stderr)
            continue
        if arguments.json:
            named = [{"class": name, "probability": round(p, 6)} for name, p in classes]
            print(json.dumps({"video": video, "classes": named}, ensure_ascii=False))
        else:
            print(video)
            for name, probability in classes:
                print(f"  {probability:6.1%}  {name}")
    if unreadable:
        raise CommandError(f"{unreadable} of {len(arguments.videos)} videos could not be read")


def _export_saved_model(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.export import saved_model

    saved_model.main(arguments.model, arguments.out, arguments.calibration)


def _export_tflite(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.export import tflite

    tflite.main(arguments.model, arguments.out, arguments.quantization, arguments.calibration)


@contextmanager
def _progress(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left; on no terminal, a line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{title} {unit}", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield update


def _lines(title: str, unit: str) -> Callable[[int, int], None]:
    said = -1

    def update(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // max(total, 1)
        if tenth > said:
            said = tenth
            print(f"{title}: {done} of {total} {unit}", file=sys.stderr, flush=True)

    return update


if __name__ == "__main__":
    sys.exit(main())

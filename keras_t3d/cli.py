"""The command `keras-t3d`: reads the command line, calls the library, says what came of it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keras_t3d.data.sources.layouts import LAYOUTS
from keras_t3d.version import __version__

if TYPE_CHECKING:
    from keras_t3d.data.conversion_report import ConversionReport
    from keras_t3d.inference.predictor import Predictor
    from keras_t3d.inference.screen import Screen
    from keras_t3d.inference.smoothing import Smoothing
    from keras_t3d.inference.stream import WindowScores
    from keras_t3d.inference.timeline import Timeline
    from keras_t3d.inference.watching import WatchedFrame
    from keras_t3d.inference.window_report import WindowReport


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `keras-t3d`. Defaults to the process's own.

    Returns:
        The exit status: 0, 1 where the command failed; 130 where it was stopped by Ctrl-C,
        143 by a request to terminate, 129 by a terminal that closed.
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
    except KeyboardInterrupt as stop:
        print("\nkeras-t3d: stopped", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)
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

    _add_predict(commands)
    _add_watch(commands)
    _add_query(commands)

    export = commands.add_parser("export", help="write a model for serving or for devices")
    formats = export.add_subparsers(metavar="FORMAT", required=True)
    saved_model = _command(formats, "saved-model", _export_saved_model, "for TF Serving")
    saved_model.add_argument("model", metavar="MODEL", help=".keras file")
    saved_model.add_argument(
        "out", metavar="OUT", help="folder of versions: writes OUT/1, OUT/2..."
    )
    saved_model.add_argument("--calibration", metavar="SHARDS", help=_CALIBRATION)
    saved_model.add_argument(
        "--frozen",
        action=argparse.BooleanOptionalAction,
        help="weights as constants of a folded graph: a fourth less time a clip, for 25 times "
        "their bytes of memory in the server (default: up to 200 MB of weights)",
    )
    tflite = _command(formats, "tflite", _export_tflite, "for LiteRT (TensorFlow Lite)")
    tflite.add_argument("model", metavar="MODEL", help=".keras file")
    tflite.add_argument("out", metavar="OUT.tflite", help="file to write")
    tflite.add_argument(
        "--quantization",
        default="none",
        choices=("none", "float16", "dynamic", "int8"),
        help="float32; weights of 16 or of 8 bits; all in whole numbers of 8 bits",
    )
    tflite.add_argument(
        "--calibration",
        metavar="SHARDS",
        help=f"{_CALIBRATION}; for int8 needed: its ranges are those of these clips",
    )
    tflite.add_argument(
        "--report-clips",
        type=int,
        default=200,
        metavar="N",
        help="clips of SHARDS' test or val split to measure on what 8 bits cost (default: 200)",
    )
    tflite.add_argument(
        "--float-layers",
        nargs="+",
        default=(),
        metavar="LAYER",
        help="layers that int8 leaves in floats, named as in its report: stem block1/layer2_conv1",
    )
    tflite.add_argument(
        "--integer-output", action="store_true", help="probabilities too as int8, p * 256 - 128"
    )
    tflite.add_argument("--licence", metavar="FILE", help="text that the file's metadata carry")
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


def _add_predict(commands: Any) -> None:
    predict = _command(commands, "predict", _predict, "say what happens in videos, and when")
    predict.add_argument("model", metavar="MODEL", help=_MODEL)
    predict.add_argument(
        "videos", metavar="VIDEO", nargs="+", help="video files, or folders of them"
    )
    predict.add_argument("--top", type=int, default=5, metavar="K", help="classes to name")
    predict.add_argument(
        "--views", type=int, metavar="N", help="clips to score (default: cover the video, up to 10)"
    )
    predict.add_argument("--json", action="store_true", help="one JSON object a line")
    windows = predict.add_argument_group("over time, a window slides over each video")
    windows.add_argument("--windows", action="store_true", help="say what happens in each window")
    windows.add_argument(
        "--out", metavar="FILE", help="write the windows to this .json or .csv file (as --windows)"
    )
    windows.add_argument(
        "--timeline", metavar="PNG", help="draw the top classes over time (as --windows)"
    )
    windows.add_argument("--hop", type=float, metavar="S", help=_HOP)
    windows.add_argument("--smoothing", metavar="RULE", help=_SMOOTHING)
    windows.add_argument(
        "--batch-size", type=int, metavar="N", help="windows scored at once (default: 1)"
    )


def _add_watch(commands: Any) -> None:
    watch = _command(commands, "watch", _watch, "show the running classes over a video or camera")
    watch.add_argument("model", metavar="MODEL", help=_MODEL)
    watch.add_argument("video", metavar="VIDEO", nargs="?", help="video file")
    watch.add_argument("--camera", type=int, metavar="N", help="a camera, 0 the first")
    watch.add_argument("--out", metavar="MP4", help="write what is shown to this file, soundless")
    watch.add_argument(
        "--scores", metavar="FILE", help="write the windows to this .json or .csv file"
    )
    watch.add_argument("--timeline", metavar="PNG", help="draw the top classes over time")
    watch.add_argument("--top", type=int, default=3, metavar="K", help="classes to name")
    watch.add_argument("--hop", type=float, metavar="S", help=_HOP)
    watch.add_argument("--smoothing", metavar="RULE", help=_SMOOTHING)
    watch.add_argument("--no-display", action="store_true", help="open no window on the screen")


def _add_query(commands: Any) -> None:
    query = _command(commands, "query", _query, "ask TF Serving what happens in a video")
    query.add_argument(
        "address",
        metavar="URL",
        help="http://host:8501/v1/models/NAME, or host:8500/NAME with --grpc; perhaps with "
        "/versions/N at its end",
    )
    query.add_argument("video", metavar="VIDEO", help="video file")
    query.add_argument("--grpc", action="store_true", help="speak gRPC, not REST")
    query.add_argument("--top", type=int, default=5, metavar="K", help="classes to name")
    query.add_argument(
        "--views", type=int, metavar="N", help="clips to score (default: cover the video, up to 10)"
    )
    query.add_argument(
        "--jpeg", action="store_true", help="send JPEG images: fewer bytes, for a small loss"
    )
    query.add_argument(
        "--spec",
        metavar="FILE",
        help="clip_spec.json or SavedModel folder, for a served model that cannot say its own",
    )
    query.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds for a request and retries"
    )
    query.add_argument("--json", action="store_true", help="a JSON object")


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
_HOP = "seconds from one window to the next (default: half a window)"
_SMOOTHING = "mean:N over the last N windows, or exponential:W, the newest one's weight"
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
    from keras_t3d.inference.top_classes import check_top

    check_top(arguments.top)
    videos = _videos(arguments.videos)
    if arguments.windows or arguments.out is not None or arguments.timeline is not None:
        _predict_windows(arguments, videos)
        return
    for_windows = ("hop", "smoothing", "batch_size")
    alone = [option for option in for_windows if getattr(arguments, option) is not None]
    if alone:
        raise ValueError(
            "--hop, --smoothing and --batch-size are for windows: add --windows, --out or "
            f"--timeline. Received: --{alone[0].replace('_', '-')} without"
        )
    from keras_t3d.inference import predict_video

    predictor = _predictor(arguments.model)
    unreadable = 0
    for video in videos:
        with _told_if_unreadable(video, videos) as failures:
            _print_classes(
                video, predict_video(predictor, video, arguments.top, arguments.views), arguments
            )
        unreadable += len(failures)
    _check_readable(unreadable, videos)


def _predict_windows(arguments: argparse.Namespace, videos: list[str]) -> None:
    from keras_t3d.inference.hops import check_hop_seconds
    from keras_t3d.inference.smoothing import parse_smoothing
    from keras_t3d.inference.stop_signals import stopped_by_signals
    from keras_t3d.inference.timeline import Timeline, check_timeline_file
    from keras_t3d.inference.window_records import check_window_file, window_file

    if arguments.views is not None:
        raise ValueError(
            "--views is for one answer a video; windows cover it by themselves, --hop S apart. "
            f"Received: --views {arguments.views} with windows"
        )
    check_hop_seconds(arguments.hop)
    smoothing = None if arguments.smoothing is None else parse_smoothing(arguments.smoothing)
    if arguments.out is not None:
        check_window_file(arguments.out)
    if arguments.timeline is not None:
        check_timeline_file(arguments.timeline)
        if len(videos) > 1:
            raise ValueError(
                "--timeline draws one video: name one, or use --out windows.csv for all. "
                f"Received: {len(videos)} videos"
            )
    predictor = _predictor(arguments.model)
    timeline = Timeline(predictor.class_names) if arguments.timeline is not None else None
    writes = arguments.out is not None or timeline is not None
    say = _print_while_read if writes else functools.partial(print, flush=True)
    unreadable, reports = 0, []
    with stopped_by_signals() as stopped:
        with contextlib.ExitStack() as stack:
            write = stack.enter_context(window_file(arguments.out)) if arguments.out else None
            for video in videos:
                with _told_if_unreadable(video, videos) as failures:
                    reports.append(
                        _report_windows_of(
                            video, predictor, smoothing, write, timeline, stopped, say, arguments
                        )
                    )
                unreadable += len(failures)
                if stopped():
                    break
            if not any(report.windows for report in reports):  # here, so that no file is left
                stopped.check()
                _check_readable(unreadable, videos)
        if write is not None:
            _say_beside(f"Wrote {arguments.out}", say, arguments)
        if timeline is not None:
            timeline.save(arguments.timeline, arguments.top, title=os.path.basename(videos[0]))
            _say_beside(f"Wrote {arguments.timeline}", say, arguments)
    unscored = sum(report.unscored for report in reports)
    if unscored:
        print(
            f"keras-t3d: {unscored:.1f} seconds between windows were not scored: --hop "
            f"{arguments.hop:g} is longer than a window",
            file=sys.stderr,
        )
    stopped.check()
    _check_readable(unreadable, videos)


def _report_windows_of(
    video: str,
    predictor: Predictor,
    smoothing: Smoothing | None,
    write: Callable[[dict[str, Any]], None] | None,
    timeline: Timeline | None,
    stopped: Callable[[], bool],
    say: Callable[..., None],
    arguments: argparse.Namespace,
) -> WindowReport:
    from keras_t3d.data.video import VideoReader
    from keras_t3d.inference import window_record
    from keras_t3d.inference.window_report import report_windows

    shown = arguments.windows and write is None
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(video))
        seconds = round(reader.seconds or 0)
        long = not shown and seconds > 10
        progress = stack.enter_context(_progress("scoring", "seconds")) if long else None
        if shown and not arguments.json:
            say(video)

        def tell(scores: WindowScores) -> None:
            record = window_record(video, scores, predictor.class_names, arguments.top)
            if write is not None:
                write(record)
            elif shown:
                say(_window_line(record, arguments.json))
            if timeline is not None:
                timeline.add(scores)
            if progress is not None:
                progress(round(scores.end), max(seconds, round(scores.end)))

        report = report_windows(
            predictor,
            reader,
            tell,
            top=arguments.top,
            hop_seconds=arguments.hop,
            smoothing=smoothing,
            batch_size=1 if arguments.batch_size is None else arguments.batch_size,
            stopped=stopped,
        )
    if report.windows:
        note = f": mean of {report.windows} window{'s' * (report.windows > 1)}"
        _print_classes(video, report.classes, arguments, note, say)
    if report.stopped:
        print(f"\nkeras-t3d: scored up to second {report.until:.2f}: {video}", file=sys.stderr)
    if reader.damage:
        print(
            f"keras-t3d: damaged, scored as far as it decodes ({reader.damage}): {video}",
            file=sys.stderr,
        )
    return report


def _window_line(record: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(record, ensure_ascii=False)
    classes = ", ".join(f"{c['class']} {c['probability']:.1%}" for c in record["classes"])
    return f"  {record['start']:9.2f} to {record['end']:9.2f} s  {classes}"


def _print_classes(
    video: str,
    classes: Sequence[tuple[str, float]],
    arguments: argparse.Namespace,
    note: str = "",
    say: Callable[..., None] = print,
) -> None:
    from keras_t3d.inference.window_records import class_records

    if arguments.json:
        say(json.dumps({"video": video, "classes": class_records(classes)}, ensure_ascii=False))
        return
    say(f"{video}{note}")
    for name, probability in classes:
        say(f"  {probability:6.1%}  {name}")


def _say_beside(text: str, say: Callable[..., None], arguments: argparse.Namespace) -> None:
    """Says what was written: not among JSON objects."""
    if arguments.json:
        print(text, file=sys.stderr)
    else:
        say(text)


def _videos(paths: Sequence[str]) -> list[str]:
    """The videos that were named, and those below folders that were."""
    from keras_t3d.data.sources.video_files import video_files

    if not any(os.path.exists(path) for path in paths):
        raise ValueError(
            "Expected videos, or folders with videos below. Received: "
            f"{', '.join(paths)}, where nothing is"
        )
    videos: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            videos.append(path)
            continue
        below = [os.path.join(path, name) for name in video_files(path)]
        if not below:
            raise ValueError(f"Expected videos, or folders with videos below. Received: {path}")
        videos += below
    return videos


def _predictor(model: str) -> Predictor:
    from keras_t3d.inference import load_predictor

    if not model.endswith(".tflite"):
        _import_tensorflow()
    return load_predictor(model)


@contextmanager
def _told_if_unreadable(video: str, videos: Sequence[str]) -> Iterator[list[Exception]]:
    """Says that a video cannot be read and goes on; where it is the only one, fails."""
    from keras_t3d.data.video import VideoError

    failures: list[Exception] = []
    try:
        yield failures
    except VideoError as error:
        if len(videos) == 1:
            raise
        failures.append(error)
        print(f"keras-t3d: {error}", file=sys.stderr)


def _check_readable(unreadable: int, videos: Sequence[str]) -> None:
    if unreadable:
        raise CommandError(f"{unreadable} of {len(videos)} videos could not be read")


def _watch(arguments: argparse.Namespace) -> None:
    from keras_t3d.inference.smoothing import parse_smoothing
    from keras_t3d.inference.top_classes import check_top

    video, camera, out = arguments.video, arguments.camera, arguments.out
    if (video is None) == (camera is None):
        received = "neither" if video is None else "both"
        raise ValueError(
            "Expected a video or a camera, for example `keras-t3d watch MODEL film.mp4` or "
            f"`keras-t3d watch MODEL --camera 0`. Received: {received}"
        )
    check_top(arguments.top)
    smoothing = None if arguments.smoothing is None else parse_smoothing(arguments.smoothing)
    live = camera is not None
    writes = any(path is not None for path in (out, arguments.scores, arguments.timeline))
    with contextlib.ExitStack() as stack:
        # The screen comes before whatever imports PyAV: see keras_t3d/inference/screen.py.
        title = f"camera {camera}" if live else video
        screen = None if arguments.no_display else _screen(title, live, needed=not writes)
        if screen is not None:
            stack.enter_context(screen)
        from keras_t3d.data.video import VideoReader
        from keras_t3d.inference import Camera, watch, watch_frames
        from keras_t3d.inference.hops import check_hop_seconds
        from keras_t3d.inference.stop_signals import stopped_by_signals

        check_hop_seconds(arguments.hop)
        _check_watch_files(arguments)
        source: VideoReader | Camera = Camera(camera) if live else VideoReader(video)
        stack.enter_context(source)
        predictor = _predictor(arguments.model)
        stopped = stack.enter_context(stopped_by_signals())
        frames = watch_frames(
            predictor,
            source,
            top=arguments.top,
            hop_seconds=arguments.hop,
            smoothing=smoothing,
            live=live,
        )
        say = _print_while_read if writes or screen else functools.partial(print, flush=True)
        keep = stack.enter_context(_kept_scores(title, predictor.class_names, say, arguments))

        def tell(frame: WatchedFrame) -> None:
            keep(frame)
            _tell_running(frame, say)

        try:
            count = watch(frames, out=out, screen=screen, tell=tell, stopped=stopped)
        finally:
            if sys.stdout.isatty():
                say("")  # ends the running line
        if out is not None:
            sound = ", without the sound" if getattr(source, "has_sound", False) else ""
            say(f"Wrote {out}: {count} frames{sound}")
        damage = getattr(source, "damage", None)
        if damage:
            note = f"keras-t3d: damaged, shown without what does not decode ({damage})"
            print(note, file=sys.stderr)
    stopped.check()


def _check_watch_files(arguments: argparse.Namespace) -> None:
    from keras_t3d.inference.annotated_video import check_annotated_file
    from keras_t3d.inference.timeline import check_timeline_file
    from keras_t3d.inference.window_records import check_window_file

    video, out = arguments.video, arguments.out
    if out is not None:
        check_annotated_file(out)
        if video is not None and os.path.exists(out) and os.path.samefile(video, out):
            raise ValueError(f"--out would replace the video itself. Received: --out {out}")
    if arguments.scores is not None:
        check_window_file(arguments.scores)
    if arguments.timeline is not None:
        check_timeline_file(arguments.timeline)


@contextmanager
def _kept_scores(
    title: str, names: Sequence[str], say: Callable[[str], None], arguments: argparse.Namespace
) -> Iterator[Callable[[WatchedFrame], None]]:
    """Writes windows and timeline, as far as they go when the video, camera or disk fails."""
    from keras_t3d.data.video import VideoError
    from keras_t3d.inference import Timeline, window_file, window_record

    scores_file, timeline_file = arguments.scores, arguments.timeline
    count, timeline = 0, Timeline(names)
    failure: Exception | None = None
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(window_file(scores_file)) if scores_file else None

        def keep(frame: WatchedFrame) -> None:
            nonlocal count
            if frame.scores is None:
                return
            if write is not None:
                write(window_record(title, frame.scores, names, arguments.top))
            if timeline_file:
                timeline.add(frame.scores)
            count += 1

        try:
            yield keep
        except (VideoError, OSError) as error:
            if count == 0:
                raise
            failure = error
    if scores_file:
        say(f"Wrote {scores_file}: {count} windows")
    if timeline_file and count:
        timeline.save(timeline_file, arguments.top, title=os.path.basename(title))
        say(f"Wrote {timeline_file}")
    elif timeline_file:
        print("keras-t3d: no timeline: it ended before a window was full", file=sys.stderr)
    if failure is not None:
        raise failure


def _screen(title: str, live: bool, needed: bool) -> Screen | None:
    from keras_t3d.inference.screen import Screen, ScreenError

    try:
        return Screen(title, live)
    except ScreenError as error:
        if needed:
            raise ScreenError(
                f"{error}. Without a window: --out annotated.mp4, or --no-display"
            ) from None
        print(f"keras-t3d: no window is shown: {error}", file=sys.stderr)
        return None


def _tell_running(frame: WatchedFrame, say: Callable[..., None]) -> None:
    """One line that is written over on a terminal, a line each elsewhere."""
    from keras_t3d.inference.timeline import clock

    classes = ", ".join(f"{name} {probability:.0%}" for name, probability in frame.classes)
    line = f"{clock(frame.start)}  {classes}"
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        say(f"\r\x1b[2K{line[:width]}", end="")
    else:
        say(line)


def _print_while_read(text: str, end: str = "\n") -> None:
    """Prints; where nobody reads any more (`| head`, a closed terminal), falls silent."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def _query(arguments: argparse.Namespace) -> None:
    from keras_t3d.deploy import connect, query

    with connect(arguments.address, arguments.grpc, arguments.timeout) as client:
        classes = query(
            client,
            arguments.video,
            arguments.top,
            arguments.views,
            jpeg=arguments.jpeg,
            spec=arguments.spec,
        )
    _print_classes(arguments.video, classes, arguments)


def _export_saved_model(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.export import saved_model

    saved_model.main(arguments.model, arguments.out, arguments.calibration, frozen=arguments.frozen)


def _export_tflite(arguments: argparse.Namespace) -> None:
    _import_tensorflow()
    from keras_t3d.export import tflite

    tflite.main(
        arguments.model,
        arguments.out,
        arguments.quantization,
        arguments.calibration,
        report_clips=arguments.report_clips,
        float_layers=arguments.float_layers,
        integer_output=arguments.integer_output,
        licence=arguments.licence,
    )


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

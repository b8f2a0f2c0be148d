"""The command `keras-t3d`: reads the command line, calls the library, says what came of it."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from keras_t3d.cli import (
    convert,
    demo,
    evaluate,
    export,
    import_weights,
    inspect,
    predict,
    pretrain,
    query,
    train,
    watch,
)
from keras_t3d.cli.command import HelpFormatter
from keras_t3d.errors import KerasT3DError
from keras_t3d.version import __version__


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
        if argv[:1] == ["train"]:
            train.run(argv[1:])
        elif argv[:1] == ["pretrain"]:
            pretrain.run(argv[1:])
        elif argv[:1] == ["convert"] and "--" in argv:  # what follows is for Beam
            words, options = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
            convert.run(command_parser().parse_args(words), options)
        else:
            arguments = command_parser().parse_args(argv)
            arguments.run(arguments)
    except KeyboardInterrupt as stop:
        with contextlib.suppress(OSError):  # a terminal that closed
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


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands but `train` and `pretrain`, which it only lists."""
    parser = argparse.ArgumentParser(
        prog="keras-t3d",
        description="Video classification with 3D networks: convert, train, evaluate, export.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-t3d {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    demo.add(commands)
    convert.add(commands)
    inspect.add(commands)
    commands.add_parser("pretrain", help="learn from clips without labels, taught by a 2D network")
    commands.add_parser("train", help="train on shards; the same command again goes on")
    import_weights.add(commands)
    evaluate.add(commands)
    predict.add(commands)
    watch.add(commands)
    query.add(commands)
    export.add(commands)
    return parser


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} (KERAS_T3D_DEBUG=1 shows more)"


def _is_users(error: Exception) -> bool:
    """Whether the message is meant for users; a defect of ours keeps its traceback."""
    debugging = os.environ.get("KERAS_T3D_DEBUG", "0") not in ("", "0")
    return (
        isinstance(error, (KerasT3DError, ValueError, OSError, RuntimeError, ImportError))
        and not debugging
    )

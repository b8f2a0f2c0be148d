"""The command `keras-t3d`: finds the subcommand, runs it, reports errors.

A subcommand is a module of this package with two functions: `add_arguments(parser)` declares what
it takes, and `run(parser, words)` parses the command line and calls the library.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import importlib
import io
import os
import pathlib
import platform
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.errors import KerasT3DError, KerasT3DWarning
from keras_t3d.version import __version__

if TYPE_CHECKING:
    import jsonargparse

COMMANDS = {
    "demo": "run every step on generated videos",
    "convert": "convert videos to clip shards",
    "inspect": "summarize and verify shards",
    "pretrain": "train on unlabelled clips, taught by a frozen 2D network; resumes a killed run",
    "probe": "fit a linear classifier to features of a pretrained network, in a minute",
    "train": "train on shards; resumes a killed run",
    "import-weights": "start from a PyTorch checkpoint",
    "evaluate": "score the videos of a split",
    "predict": "classify videos, one or an archive, as a whole or window by window",
    "embed": "write the embeddings of videos, for search and clustering",
    "explain": "show where in a video a network finds the evidence for a class",
    "watch": "show the classes over a video or camera as it plays",
    "serve": "serve a model over TF Serving's REST and gRPC interfaces, for trying it",
    "query": "classify videos with TF Serving, or with serve",
    "publish": "save a model to the Hugging Face Hub, with a model card",
    "export": "write a model for serving or for devices",
    "completion": "print what makes bash or zsh complete commands and flags",
}
_FAILED, _WRONG_USAGE = 1, 2
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_PACKAGE = pathlib.Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Args:
        argv: the words after `keras-t3d`; None takes those of the process.

    Returns:
        The exit status: 0; 1 if the subcommand failed, 2 if the command line is wrong; 130 if
        Ctrl-C stopped it, 143 if a request to terminate did, 129 if the terminal closed.

    Raises:
        SystemExit: after the `--help` of a subcommand.
    """
    # TensorFlow's messages at start-up would hide ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):  # file names need not be valid UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["--help"], ["-h"]):
        print(_overview())
        return 0
    if words[:1] == ["--version"]:
        print(f"keras-t3d {__version__}")
        return 0
    if not words or words[0] not in COMMANDS:
        print(
            f"keras-t3d: error: the command must be one of {', '.join(COMMANDS)} (see keras-t3d "
            f"--help). Received: {words[0] if words else 'nothing'}",
            file=sys.stderr,
        )
        return _WRONG_USAGE
    return _run_command(words[0], words[1:])


def command_parser(name: str) -> jsonargparse.ArgumentParser:
    """Returns the parser of a subcommand.

    Example:

    ```python
    arguments = command_parser("convert").parse_args(["videos", "shards", "--workers", "2"])
    ```
    """
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog=f"keras-t3d {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    _module(name).add_arguments(parser)
    return parser


def _run_command(name: str, words: Sequence[str]) -> int:
    parser = command_parser(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", KerasT3DWarning)
            warnings.showwarning = functools.partial(_show_warning, warnings.showwarning, parser)
            _module(name).run(parser, words)
    except KeyboardInterrupt as stop:
        with contextlib.suppress(OSError):  # the terminal may be closed
            print("\nkeras-t3d: stopped", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)
    except BrokenPipeError:
        return _FAILED
    except argparse.ArgumentError as error:
        print(f"keras-t3d: error: {_usage_line(error, parser)}", file=sys.stderr)
        return _WRONG_USAGE
    except Exception as error:
        if os.environ.get("KERAS_T3D_DEBUG", "0") not in ("", "0"):
            raise
        if _is_user_error(error):
            print(f"keras-t3d: error: {_one_line(error, parser)}", file=sys.stderr)
        else:
            traceback.print_exc()
            print(f"keras-t3d: {_bug_line()}", file=sys.stderr)
        return _FAILED
    return 0


def _module(name: str) -> Any:
    return importlib.import_module(f"keras_t3d.cli.{name.replace('-', '_')}")


def _overview() -> str:
    commands = "\n".join(f"  {name:16}{text}" for name, text in COMMANDS.items())
    return (
        "usage: keras-t3d [--help] [--version] COMMAND ...\n\n"
        "Video classification with 3D networks: convert, train, evaluate, export.\n\n"
        f"{commands}\n\nkeras-t3d COMMAND --help describes a command."
    )


def _show_warning(
    show: Callable[..., None],
    parser: jsonargparse.ArgumentParser,
    message: Warning | str,
    category: type[Warning],
    *place: Any,
    **options: Any,
) -> None:
    """Prints a warning of this package in one line, others as Python does."""
    if issubclass(category, KerasT3DWarning):
        print(f"keras-t3d: warning: {_with_flags(str(message), parser)}", file=sys.stderr)
    else:
        show(message, category, *place, **options)


def _with_flags(text: str, parser: jsonargparse.ArgumentParser) -> str:
    """Returns a text with arguments spelled as on the command line."""
    from keras_t3d.cli.options import flags_of

    flags = flags_of(parser)
    return re.sub(r"`([\w.]+)`", lambda found: flags.get(found[1], found[0]), text)


def _usage_line(error: Exception, parser: jsonargparse.ArgumentParser) -> str:
    """Returns what is wrong with a command line."""
    from keras_t3d.cli.options import flags_of
    from keras_t3d.parser_messages import explained

    message = explained(str(error), flags_of(parser).values())
    return f"{_with_flags(message, parser)} (see {parser.prog} --help)"


def _is_user_error(error: Exception) -> bool:
    if isinstance(error, KerasT3DError):
        return True
    if not isinstance(error, OSError):
        return False
    if error.errno in _DISK_FULL:
        return True
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else None
    return path is not None and not pathlib.Path(path).is_relative_to(_PACKAGE)


def _one_line(error: Exception, parser: jsonargparse.ArgumentParser) -> str:
    """Returns the first line of a message, with arguments spelled as on the command line."""
    text = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.strerror}: {os.fsdecode(error.filename)}"
    lines = text.strip().splitlines() or [type(error).__name__]
    line = _with_flags(lines[0], parser)
    return line if len(lines) == 1 else f"{line} (KERAS_T3D_DEBUG=1 shows more)"


def _bug_line() -> str:
    versions = [f"keras_t3d {__version__}", f"Python {platform.python_version()}"]
    for name, module in (("TensorFlow", "tensorflow"), ("Keras", "keras")):
        version = getattr(sys.modules.get(module), "__version__", None)
        versions += [f"{name} {version}"] if version else []
    return (
        f"this is a bug of keras_t3d. Please report it, with the lines above, in the issue tracker "
        f"of the repository that you installed from: {', '.join(versions)}, {platform.platform()}"
    )

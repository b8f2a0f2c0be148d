"""Leaves out what TensorFlow's native code prints and users need not read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

MEANINGLESS = (
    "INFO: Created TensorFlow Lite XNNPACK delegate",
    "fully_quantize: ",
    "WARNING: All log messages before absl::InitializeLog()",
    "I0000 ",
)
_SECONDS = 5  # that the filter may take to print its last lines
# A process of its own still prints the last lines of one that crashes.
_FILTER = """
import sys
for line in sys.stdin.buffer:
    if not line.startswith(tuple(text.encode() for text in sys.argv[1:])):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


@contextlib.contextmanager
def without_meaningless_messages() -> Iterator[None]:
    """Filters what native code prints to standard error; not with KERAS_T3D_DEBUG=1.

    Python prints to where standard error was, so that progress bars still see a terminal.
    """
    if os.environ.get("KERAS_T3D_DEBUG", "0") not in ("", "0"):
        yield
        return
    original = os.dup(2)
    command = [sys.executable, "-I", "-S", "-c", _FILTER, *MEANINGLESS]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=original)
    assert child.stdin is not None
    with _python_prints_to(original):
        os.dup2(child.stdin.fileno(), 2)
        child.stdin.close()
        try:
            yield
        finally:
            os.dup2(original, 2)  # ends the input of the filter, unless a process still has it
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_SECONDS)
    os.close(original)


@contextlib.contextmanager
def _python_prints_to(descriptor: int) -> Iterator[None]:
    """Makes Python's standard error write to another descriptor, if it writes to the usual one."""
    before = sys.stderr
    try:
        is_usual = before.fileno() == 2
    except (OSError, AttributeError, ValueError):  # replaced by an object without a descriptor
        is_usual = False
    if not is_usual:
        yield
        return
    before.flush()
    options: dict[str, Any] = {"encoding": before.encoding, "errors": "backslashreplace"}
    with (
        open(descriptor, "w", buffering=1, closefd=False, **options) as stream,
        contextlib.redirect_stderr(stream),
    ):
        yield

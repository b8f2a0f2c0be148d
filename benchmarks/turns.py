"""Times contenders in turns, each in its own process, and describes the machine.

Frameworks in one process would share threads, allocator and OpenMP. Here each contender has its
own process, and only one works at a time: the parent asks them in turns for one or more steps, so
other load on the machine affects all of them alike.

A contender's process calls `build(*arguments)`, which returns facts about the contender and the
step to time. It must be a module-level function, because the processes are spawned.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Step = Callable[[], object]
Build = Callable[..., tuple[dict[str, Any], Step]]

_PAUSE = 0.05  # seconds: OpenMP's and TBB's threads spin for a while when their work is done
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
_PACKAGES = (
    *("tensorflow", "keras", "ai-edge-litert", "torch", "onnxruntime", "openvino", "onnx"),
    "numpy",
)


class ContenderError(Exception):
    """A contender could not be built, or failed; the message has the reason."""


@dataclass
class Race:
    """Results of `race` by the contenders' names."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)  # milliseconds
    unavailable: dict[str, str] = field(default_factory=dict)  # the others, and why

    @property
    def milliseconds(self) -> dict[str, float]:
        """Returns the median of each."""
        return {name: round(statistics.median(all_), 3) for name, all_ in self.times.items()}

    def best(self, *beginnings: str) -> float | None:
        """Returns the smallest median of contenders whose names start with a prefix, or None."""
        return min(
            (t for n, t in self.milliseconds.items() if n.startswith(beginnings)), default=None
        )


class Contender:
    """A process that builds a contender, and runs its steps on request."""

    def __init__(self, build: Build, *arguments: Any) -> None:
        # A forked child would share the state of whatever the parent has imported.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, arguments))
        self._process.start()
        theirs.close()

    def facts(self) -> dict[str, Any]:
        """Waits for the facts from `build`."""
        return self._answer()

    def steps(self, count: int) -> float:
        """Returns milliseconds per step, the median of some in a row, by its process's clock."""
        with contextlib.suppress(BrokenPipeError):  # a dead process has no answer either
            self._pipe.send(count)
        return self._answer()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()

    def _answer(self) -> Any:
        try:
            done, answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise ContenderError(f"its process ended with {self._process.exitcode}") from None
        if not done:
            raise ContenderError(answer)
        return answer


def _serve(pipe: Any, build: Build, arguments: tuple[Any, ...]) -> None:
    """Builds, then runs as many steps as each message requests, until the parent closes its end."""
    try:
        facts, step = build(*arguments)
        pipe.send((True, facts))
        while count := pipe.recv():
            pipe.send((True, statistics.median(_milliseconds(step) for _ in range(count))))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        pipe.send((False, f"{type(error).__name__}: {reason}"))


def _milliseconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - start)


def race(entries: Mapping[str, tuple[Any, ...]], rounds: int, in_a_row: int = 1) -> Race:
    """Builds the contenders one after the other, then times them in turns.

    Args:
        entries: `(build, *arguments)` by name.
        rounds: turns of each, after one discarded round.
        in_a_row: steps per turn, whose median counts. After a pause the first step runs with
            sleeping threads and cold caches; with three or more steps it is discarded.

    Returns:
        The times. A contender that fails is listed with the reason; the others continue.
    """
    result = Race()
    running: dict[str, Contender] = {}
    try:
        for name, entry in entries.items():
            running[name] = Contender(*entry)
            _note_failure(result, running, name, lambda c: c.facts(), result.facts)
        result.times = {name: [] for name in running}
        for turn in range(rounds + 1):
            for name in list(running):
                time.sleep(_PAUSE)
                taken: dict[str, float] = {}
                _note_failure(result, running, name, lambda c: c.steps(in_a_row), taken)
                if turn and name in taken:
                    result.times[name].append(taken[name])
    finally:
        for contender in running.values():
            contender.close()
    result.times = {name: result.times[name] for name in running}
    return result


def _note_failure(
    result: Race,
    running: dict[str, Contender],
    name: str,
    ask: Callable[[Contender], Any],
    answers: dict[str, Any],
) -> None:
    """Stores the reply, or removes a contender that failed from the race."""
    try:
        answers[name] = ask(running[name])
    except ContenderError as error:
        result.unavailable[name] = str(error)
        running.pop(name).close()


def facts_of(build: Build, *arguments: Any) -> dict[str, Any]:
    """Returns the facts from `build` in a new process.

    Raises:
        ContenderError: if it fails.
    """
    contender = Contender(build, *arguments)
    try:
        return contender.facts()
    finally:
        contender.close()


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Returns the quotient; None if either side was not measured or is zero."""
    if numerator is None or denominator is None or denominator <= 0:
        return None
    return round(numerator / denominator, 3)


def print_table(title: str, result: Mapping[str, Any]) -> None:
    """Prints a result's `milliseconds`, `unavailable`, and all single numbers."""
    print(title)
    for name, milliseconds in result["milliseconds"].items():
        print(f"  {name:36} {milliseconds:10.2f} ms")
    for name, reason in result["unavailable"].items():
        print(f"  {name:36} unavailable: {reason}")
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"  {name:36} {value}")
    sys.stdout.flush()  # minutes pass until the next one


def resident_megabytes() -> float:
    """Returns the resident memory of this process. Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def peak_bytes() -> int:
    """Returns the peak resident memory of this process. Linux only.

    `getrusage` is not used: a process inherits its maximum from its parent.
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def machine() -> dict[str, Any]:
    """Returns processor, its flags and load, Python, and the versions of the timed packages."""
    info = Path("/proc/cpuinfo").read_text()
    words = set(info.split())
    lines = info.splitlines()
    model = next((line for line in lines if line.startswith("model name")), ": unknown")
    return {
        "machine": platform.machine(),
        "cpu": model.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "cpu_flags": [flag for flag in _FLAGS if flag in words],
        "load_at_start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "keras_t3d": importlib.metadata.version("keras-t3d"),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

"""Progress of long work: the type of callbacks that report it, and a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]  # called with (videos done, videos in total)


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """Shows a bar with rate and time left; without a terminal, a line per tenth."""
    import rich.progress
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, unit)
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[rate]}"),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{title} {unit}", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield update


def _lines(title: str, unit: str) -> Progress:
    printed = -1

    def update(done: int, total: int) -> None:
        nonlocal printed
        tenth = 10 * done // max(total, 1)
        if tenth > printed:
            printed = tenth
            print(f"{title}: {done} of {total} {unit}", file=sys.stderr, flush=True)

    return update

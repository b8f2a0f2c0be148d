"""The type of callbacks that report progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (videos done, videos in total)

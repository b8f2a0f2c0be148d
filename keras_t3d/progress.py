"""What is called while long work goes on, to say how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (videos done, videos in all)

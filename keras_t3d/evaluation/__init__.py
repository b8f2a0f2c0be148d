"""Scores of whole videos, their metrics and the report of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.evaluation.metrics import compute_metrics
    from keras_t3d.evaluation.report import write_report
    from keras_t3d.evaluation.scores import VideoScores, score_videos

_ROOMS = {
    "VideoScores": "scores",
    "compute_metrics": "metrics",
    "score_videos": "scores",
    "write_report": "report",
}
__all__ = ["VideoScores", "compute_metrics", "score_videos", "write_report"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.evaluation.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.evaluation' has no attribute {name!r}")

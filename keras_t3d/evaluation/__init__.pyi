from .evaluation import evaluate
from .metrics import compute_metrics
from .options import EvaluationOptions
from .report import write_report
from .scores import VideoScores, score_videos

__all__ = [
    "EvaluationOptions",
    "VideoScores",
    "compute_metrics",
    "evaluate",
    "score_videos",
    "write_report",
]

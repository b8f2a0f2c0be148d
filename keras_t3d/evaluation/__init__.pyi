from .evaluation import evaluate
from .explained_video import ExplainedVideo, explain_video
from .grad_cam import ClipHeat, HeatMaps, grad_cam
from .metrics import compute_metrics
from .options import EvaluationOptions
from .report import write_report
from .scores import VideoScores, score_videos

__all__ = [
    "ClipHeat",
    "EvaluationOptions",
    "ExplainedVideo",
    "HeatMaps",
    "VideoScores",
    "compute_metrics",
    "evaluate",
    "explain_video",
    "grad_cam",
    "score_videos",
    "write_report",
]

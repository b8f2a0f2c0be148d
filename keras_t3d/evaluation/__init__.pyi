from .metrics import compute_metrics
from .report import write_report
from .scores import VideoScores, score_videos

__all__ = ["VideoScores", "compute_metrics", "score_videos", "write_report"]

"""Scores the videos of a split, computes metrics and writes a report.

```
score_videos: views of each video -> VideoScores
compute_metrics: accuracy, calibration, confusion, confidence intervals
write_report: HTML, JSON and CSV
evaluate: all three
```
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

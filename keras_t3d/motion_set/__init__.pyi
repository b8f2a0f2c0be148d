from .generation import MOTION_CLASSES, OPPOSITES, motion_clips, render_motion
from .writing import write_motion_set

__all__ = ["MOTION_CLASSES", "OPPOSITES", "motion_clips", "render_motion", "write_motion_set"]

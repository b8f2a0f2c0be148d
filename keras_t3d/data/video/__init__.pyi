from .errors import DamagedVideoWarning, VideoError
from .frames import TimedFrame
from .reader import Video, VideoReader, read_video

__all__ = [
    "DamagedVideoWarning",
    "TimedFrame",
    "Video",
    "VideoError",
    "VideoReader",
    "read_video",
]

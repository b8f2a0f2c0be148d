from .camera import Camera
from .load import load_predictor
from .predict import predict_video
from .predictor import Predictor
from .smoothing import Exponential, MeanOfLast
from .stream import WindowScores, stream_video
from .timeline import Timeline
from .watching import WatchedFrame, watch, watch_frames
from .window_records import window_file, window_record

__all__ = [
    "Camera",
    "Exponential",
    "MeanOfLast",
    "Predictor",
    "Timeline",
    "WatchedFrame",
    "WindowScores",
    "load_predictor",
    "predict_video",
    "stream_video",
    "watch",
    "watch_frames",
    "window_file",
    "window_record",
]

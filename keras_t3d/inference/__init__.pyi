from .bulk.embeddings import embed_videos, write_embeddings
from .bulk.engine import VideoResult
from .bulk.options import BulkOptions
from .bulk.predictions import predict_videos, write_predictions
from .bulk.result_file import BulkReport
from .camera import Camera
from .frame_stream import Stream
from .load import load_embedder, load_predictor
from .options import WindowOptions
from .predict import predict_video
from .predictor import Predictor
from .screen import Screen, ScreenError
from .smoothing import Exponential, MeanOfLast
from .stream import stream_video
from .stream_predictor import StreamPredictor
from .timeline import Timeline
from .video_writer import RecordingError
from .watching import WatchedFrame, watch, watch_frames
from .window_prediction import WindowPrediction
from .window_records import window_file, window_record
from .window_summary import WindowSummary, summarize_windows

__all__ = [
    "BulkOptions",
    "BulkReport",
    "Camera",
    "Exponential",
    "MeanOfLast",
    "Predictor",
    "RecordingError",
    "Screen",
    "ScreenError",
    "Stream",
    "StreamPredictor",
    "Timeline",
    "VideoResult",
    "WatchedFrame",
    "WindowOptions",
    "WindowPrediction",
    "WindowSummary",
    "embed_videos",
    "load_embedder",
    "load_predictor",
    "predict_video",
    "predict_videos",
    "stream_video",
    "summarize_windows",
    "watch",
    "watch_frames",
    "window_file",
    "window_record",
    "write_embeddings",
    "write_predictions",
]

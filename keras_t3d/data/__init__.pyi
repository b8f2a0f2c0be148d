from .augmentation.options import Augmentation
from .clips.clip_dataset import ClipDataset
from .clips.frame_features import FrameFeatures
from .clips.pipeline import load_clips
from .clips.steps import steps_per_epoch
from .clips.unlabelled_clips import UnlabelledClipDataset, load_unlabelled_clips
from .clips.views import load_views
from .conversion.convert import convert
from .conversion.report import ConversionReport
from .inspection import contact_sheet, summarize
from .shards.shard_set import ShardSet
from .video.errors import DamagedVideoWarning, VideoError
from .video.reader import Video, VideoReader, read_video

__all__ = [
    "Augmentation",
    "ClipDataset",
    "ConversionReport",
    "DamagedVideoWarning",
    "FrameFeatures",
    "ShardSet",
    "UnlabelledClipDataset",
    "Video",
    "VideoError",
    "VideoReader",
    "contact_sheet",
    "convert",
    "load_clips",
    "load_unlabelled_clips",
    "load_views",
    "read_video",
    "steps_per_epoch",
    "summarize",
]

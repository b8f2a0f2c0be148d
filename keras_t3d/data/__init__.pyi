from .augmentation.options import Augmentation
from .clips.clip import Clip
from .clips.frame_features import FrameFeatures
from .clips.options import ReadOptions
from .clips.reader import ClipReader, load_clips
from .contact_sheet import contact_sheet
from .conversion.convert import convert
from .conversion.errors import ConversionError
from .conversion.options import ConversionOptions
from .conversion.report import ConversionReport
from .inspection import summarize
from .shards.shard_set import ShardSet
from .video.errors import DamagedVideoWarning, VideoError
from .video.reader import Video, VideoReader, read_video

__all__ = [
    "Augmentation",
    "Clip",
    "ClipReader",
    "ConversionError",
    "ConversionOptions",
    "ConversionReport",
    "DamagedVideoWarning",
    "FrameFeatures",
    "ReadOptions",
    "ShardSet",
    "Video",
    "VideoError",
    "VideoReader",
    "contact_sheet",
    "convert",
    "load_clips",
    "read_video",
    "summarize",
]

"""Sources: each dataset layout lists its videos with labels and splits."""

from keras_t3d.data.sources.layouts import list_videos
from keras_t3d.data.sources.listing import Listing, SourceError, VideoEntry
from keras_t3d.data.sources.options import LAYOUTS, SourceOptions

__all__ = [
    "LAYOUTS",
    "Listing",
    "SourceError",
    "SourceOptions",
    "VideoEntry",
    "list_videos",
]

"""Sources: each dataset layout lists its videos with labels and splits."""

from keras_t3d.data.sources.csv_file import list_csv
from keras_t3d.data.sources.folder import list_folder
from keras_t3d.data.sources.hmdb51 import list_hmdb51
from keras_t3d.data.sources.jhmdb import list_jhmdb
from keras_t3d.data.sources.kinetics import list_kinetics
from keras_t3d.data.sources.layouts import LAYOUTS, list_videos
from keras_t3d.data.sources.listing import Listing, VideoEntry
from keras_t3d.data.sources.ssv2 import list_ssv2
from keras_t3d.data.sources.ucf101 import list_ucf101
from keras_t3d.data.sources.unlabelled import list_unlabelled

__all__ = [
    "LAYOUTS",
    "Listing",
    "VideoEntry",
    "list_csv",
    "list_folder",
    "list_hmdb51",
    "list_jhmdb",
    "list_kinetics",
    "list_ssv2",
    "list_ucf101",
    "list_unlabelled",
    "list_videos",
]

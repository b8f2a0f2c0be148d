"""Sources: each dataset layout lists its videos with labels and splits."""

from keras_t3d.data.sources.csv_file import list_csv
from keras_t3d.data.sources.folder import list_folder
from keras_t3d.data.sources.listing import Listing, VideoEntry

__all__ = ["Listing", "VideoEntry", "list_csv", "list_folder"]

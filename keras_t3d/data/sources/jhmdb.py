"""Layout `jhmdb`: the class folders of JHMDB, with the official lists of three splits.

Reference:
    Jhuang et al., Towards understanding action recognition, ICCV 2013,
    http://jhmdb.is.tue.mpg.de
"""

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.options import DatasetLayout

LAYOUT = DatasetLayout(
    list_class_splits,
    required={"annotations": "splits", "split_id": "1"},
    optional=("only_present_classes",),
)

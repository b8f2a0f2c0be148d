"""Layout `hmdb51`: the class folders of HMDB51, with the official lists of three splits.

Reference:
    Kuehne et al., HMDB: A large video database for human motion recognition,
    ICCV 2011, https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
"""

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.options import DatasetLayout

LAYOUT = DatasetLayout(
    list_class_splits,
    required={"annotations": "testTrainMulti_7030_splits", "split_id": "1"},
    optional=("only_present_classes",),
)

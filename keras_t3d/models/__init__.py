"""The networks: by class, by function, and by name.

Each line below registers a family; the family's `__all__` lists its public names.
"""

# ruff: noqa: F403

import types

from keras_t3d.models.densenet3d import *
from keras_t3d.models.efficientnet_lite import *
from keras_t3d.models.registry import *
from keras_t3d.models.resnet2plus1d import *
from keras_t3d.models.resnet3d import *
from keras_t3d.models.t3d import *
from keras_t3d.models.t3d_lite import *
from keras_t3d.models.torchvision_resnet3d import *
from keras_t3d.models.video_classifier import *


def __dir__() -> list[str]:
    # Without the modules of the files.
    return [
        name
        for name, value in globals().items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]

"""The networks: by class, by function, and by name.

Each line below registers a family; the family's `__all__` lists its public names.
"""

# ruff: noqa: F403

import keras as _keras  # noqa: F401  (first, so that registration.py runs before our modules)

from keras_t3d.models.densenet3d import *
from keras_t3d.models.registry import *
from keras_t3d.models.resnet3d import *
from keras_t3d.models.t3d import *
from keras_t3d.models.torchvision_resnet3d import *
from keras_t3d.models.video_classifier import *

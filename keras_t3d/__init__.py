"""Video classification with 3D networks in Keras 3: T3D and its family.

Submodules load on first use: `import keras_t3d` imports neither Keras nor a deep-learning backend.
"""

import lazy_loader

from keras_t3d.onednn import turn_on_onednn
from keras_t3d.registration import register_with_keras

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_with_keras()
turn_on_onednn()

"""Transfers weights and features to 3D networks: PyTorch checkpoints, inflated 2D weights, and
training without labels by a 2D teacher.

Names are imported on first use; `kinetics400_classes` imports neither Keras nor PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

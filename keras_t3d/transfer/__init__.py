"""What a network knows from elsewhere: checkpoints of PyTorch, weights inflated from images to
clips, and 2D networks that teach 3D ones.

Names load when first used: reading the class names imports neither Keras nor PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Exports of trained models: SavedModel for TF Serving, LiteRT for phones; the serving client.

Names load when first used, so importing this package imports no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""From a trained network to what runs elsewhere: a SavedModel to serve, a LiteRT file for a phone.

The functions load when they are first used, so that importing this package
imports no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

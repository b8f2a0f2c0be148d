"""The motion set: generated videos of eight motions that only time tells apart."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

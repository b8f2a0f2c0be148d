"""ClipSpec, and the view: which frames of a video make a clip, and how they are scaled."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Networks that predict at every step of a video, and compute each frame once.

A causal network (`causal=True`) reads no later frame. Its streaming form follows from its layers:
each one that reads several frames keeps the last ones from step to step.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

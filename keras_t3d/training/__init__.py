"""Training runs: configuration, checkpoints, callbacks and recipes.

`train` and `pretrain` run a whole configuration. The scripts in the top-level folder `training/`
show the same steps one by one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

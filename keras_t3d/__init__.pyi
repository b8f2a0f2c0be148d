from . import (
    clips,
    data,
    deploy,
    evaluation,
    hub,
    inference,
    layers,
    models,
    motion_set,
    optimization,
    streaming,
    training,
    transfer,
)
from .clips import ClipSpec
from .version import __version__

__all__ = [
    "ClipSpec",
    "__version__",
    "clips",
    "data",
    "deploy",
    "evaluation",
    "hub",
    "inference",
    "layers",
    "models",
    "motion_set",
    "optimization",
    "streaming",
    "training",
    "transfer",
]

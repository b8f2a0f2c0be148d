from .batch_statistics import (
    freeze_batch_norms,
    precise_batch_statistics,
    synchronize_batch_norms,
)
from .cross_entropy import CrossEntropy
from .learner import Learner
from .optimizers import average_of_weights, make_optimizer
from .schedules import WarmUp, plateau_rate

__all__ = [
    "CrossEntropy",
    "Learner",
    "WarmUp",
    "average_of_weights",
    "freeze_batch_norms",
    "make_optimizer",
    "plateau_rate",
    "precise_batch_statistics",
    "synchronize_batch_norms",
]

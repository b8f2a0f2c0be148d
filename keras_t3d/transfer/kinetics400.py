"""The public name of `keras_t3d.weights.kinetics400`."""

from keras_t3d.weights.kinetics400 import kinetics400_classes

__all__ = ["kinetics400_classes"]

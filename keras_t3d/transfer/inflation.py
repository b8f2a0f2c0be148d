"""The public names of `keras_t3d.models.inflation`."""

from keras_t3d.models.inflation import InflationReport, inflate, source_normalization

__all__ = ["InflationReport", "inflate", "source_normalization"]

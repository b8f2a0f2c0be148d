"""Keras layers of the video networks; one file each."""

from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.clip_normalization import ClipNormalization
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.dense_block import DenseBlock3D
from keras_t3d.layers.depthwise_transition import DepthwiseTemporalTransition
from keras_t3d.layers.deviation_pooling import GlobalDeviationPooling3D
from keras_t3d.layers.factorized_convolution import FactorizedConv3D
from keras_t3d.layers.inverted_residual import InvertedResidualBlock3D
from keras_t3d.layers.max_pooling import ClipMaxPooling3D
from keras_t3d.layers.normalized_convolution import NormalizedConv3D
from keras_t3d.layers.residual_block import BasicBlock3D, BottleneckBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.layers.temporal_transition import TemporalTransition

__all__ = [
    "BasicBlock3D",
    "BottleneckBlock3D",
    "ClipBatchNormalization",
    "ClipConv3D",
    "ClipMaxPooling3D",
    "ClipNormalization",
    "DenseBlock3D",
    "DepthwiseTemporalTransition",
    "FactorizedConv3D",
    "GlobalDeviationPooling3D",
    "InvertedResidualBlock3D",
    "NormalizedConv3D",
    "SpatioTemporalChannelCorrelation",
    "Stem3D",
    "TemporalTransition",
]


def __dir__() -> list[str]:
    return __all__  # without the modules of the files

from .feature_cache import write_frame_features
from .feature_regression import FeatureRegression
from .frame_clip_contrast import FrameClipContrast
from .frame_clip_matching import FrameClipMatching
from .frame_teacher import FrameTeacher, load_teacher
from .imported_weights import ImportedWeights
from .inflation import InflationReport, inflate
from .kinetics400 import kinetics400_classes
from .torch_weights import import_weights

__all__ = [
    "FeatureRegression",
    "FrameClipContrast",
    "FrameClipMatching",
    "FrameTeacher",
    "ImportedWeights",
    "InflationReport",
    "import_weights",
    "inflate",
    "kinetics400_classes",
    "load_teacher",
    "write_frame_features",
]

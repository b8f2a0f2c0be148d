from .errors import ExportError, QuantizationError, UnsupportedLayerError
from .onnx import export_onnx
from .openvino import export_openvino
from .options import (
    EXPORT_TARGETS,
    ExportTarget,
    ONNXOptions,
    OpenVINOOptions,
    SavedModelOptions,
    TFLiteOptions,
)
from .saved_model import export_saved_model
from .serving_client import ServingClient, ServingError, connect, query, served_stream
from .serving_server.options import ServerOptions
from .serving_server.serve import serve
from .tflite import export_tflite
from .tflite_operations import list_ops

__all__ = [
    "EXPORT_TARGETS",
    "ExportError",
    "ExportTarget",
    "ONNXOptions",
    "OpenVINOOptions",
    "QuantizationError",
    "SavedModelOptions",
    "ServerOptions",
    "ServingClient",
    "ServingError",
    "TFLiteOptions",
    "UnsupportedLayerError",
    "connect",
    "export_onnx",
    "export_openvino",
    "export_saved_model",
    "export_tflite",
    "list_ops",
    "query",
    "serve",
    "served_stream",
]

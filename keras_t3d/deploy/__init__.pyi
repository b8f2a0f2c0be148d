from .litert import export_tflite
from .saved_model import export_saved_model
from .serving_client import ServingClient, ServingError, connect, query

__all__ = [
    "ServingClient",
    "ServingError",
    "connect",
    "export_saved_model",
    "export_tflite",
    "query",
]

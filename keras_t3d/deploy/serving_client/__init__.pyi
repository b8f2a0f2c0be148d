from .client import ServingClient
from .connection import connect
from .errors import ServingError
from .video_query import query

__all__ = ["ServingClient", "ServingError", "connect", "query"]

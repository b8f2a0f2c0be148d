from .client import ServingClient
from .connection import connect
from .errors import ServingError
from .stream_query import served_stream
from .video_query import query

__all__ = ["ServingClient", "ServingError", "connect", "query", "served_stream"]

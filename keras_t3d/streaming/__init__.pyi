from .errors import StreamingError
from .form import StreamingForm
from .options import StreamOptions

__all__ = ["StreamOptions", "StreamingError", "StreamingForm"]

"""A client of TF Serving: REST and gRPC, behind one interface.

```
address -> connection.py -> ServingClient (rest_client.py, grpc_client.py), which is a Predictor
video ---> video_query.py: views -> ServingClient -> class names and probabilities
```

It needs no TensorFlow. Names load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.deploy.serving_client.client import ServingClient
    from keras_t3d.deploy.serving_client.connection import connect
    from keras_t3d.deploy.serving_client.errors import ServingError
    from keras_t3d.deploy.serving_client.video_query import query

_ROOMS = {
    "ServingClient": "client",
    "ServingError": "errors",
    "connect": "connection",
    "query": "video_query",
}
__all__ = ["ServingClient", "ServingError", "connect", "query"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        room = importlib.import_module(f"keras_t3d.deploy.serving_client.{_ROOMS[name]}")
        return getattr(room, name)
    raise AttributeError(f"module 'keras_t3d.deploy.serving_client' has no attribute {name!r}")

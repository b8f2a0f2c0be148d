"""A client of TF Serving with one interface for REST and gRPC.

```
address -> connection.py -> ServingClient (rest_client.py, grpc_client.py), a Predictor
video ---> video_query.py: views -> ServingClient -> class names and probabilities
```

It imports no TensorFlow. Names load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

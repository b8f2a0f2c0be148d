"""A client of TF Serving: REST and gRPC, behind one interface.

```
address -> connection.py -> ServingClient (rest_client.py, grpc_client.py), which is a Predictor
video ---> video_query.py: views -> ServingClient -> class names and probabilities
```

It needs no TensorFlow. Names load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

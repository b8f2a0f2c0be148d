"""Videos to clip shards, shards to clips.

```
source -> plan -> encode (workers) -> shards
shards -> sampling -> decoding -> augmentation -> clips
```

Names load when first used, so that a conversion worker imports no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""From a video file to class names and probabilities, with any of three predictors.

```
predict_video: views over the whole video -> one answer
stream_video:  a window slides over it    -> an answer for every window, with its times
watch_frames:  the same, written over each picture
```

Names load when first used: a LiteRT model needs no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

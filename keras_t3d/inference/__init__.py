"""Predicts the classes of videos with Keras models, SavedModels and LiteRT files.

```
predict_video:     views over the whole video -> one prediction
predict_videos:    the same for many videos, in batches; write_predictions writes them to a file
embed_videos:      features in place of classes; write_embeddings writes them
stream_video:      a window slides over a video -> a prediction per window, with its times
watch_frames:      the same, drawn over each frame
Stream:            frames as they come, each computed once -> an answer at every step
```

Names are imported on first use; predicting with a `.tflite` file does not import TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

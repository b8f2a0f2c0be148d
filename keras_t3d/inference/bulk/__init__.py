"""Predictions and embeddings of many videos: decoded in processes of their own, in one batch.

```
videos -> view_worker (a process per core) -> engine (batches across videos) -> part file -> result
```
"""

"""Options of a model card, each declared once."""

from __future__ import annotations

import dataclasses
import os

from keras_t3d.errors import check_argument


@dataclasses.dataclass(frozen=True)
class ModelCardOptions:
    """What a model card says besides what the model knows.

    Args:
        license: identifier of the license of the weights, such as `apache-2.0` or `cc-by-4.0`, see
            https://huggingface.co/docs/hub/repositories-licenses.
        data: what the model was trained on, in a sentence.
        report: folder that `keras-t3d evaluate` wrote, or its `metrics.json`; the accuracy is
            taken from it.

    Raises:
        InvalidArgumentError: if a text has more than one line.

    Example:

    ```python
    ModelCardOptions(license="cc-by-4.0", data="Our own videos of juggling")
    ```
    """

    license: str = "unknown"
    data: str | None = None
    report: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        is_name = bool(self.license) and not set(self.license) & set(" \n:'\"")
        check_argument("license", self.license, is_name, "an identifier, for example apache-2.0")
        is_line = self.data is None or self.data.isprintable()
        check_argument("data", self.data, is_line, "one line, for example 'Our own videos'")

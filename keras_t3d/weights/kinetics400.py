"""Class names of Kinetics-400, in the order of the published networks' logits."""

from __future__ import annotations

import pathlib


def kinetics400_classes() -> tuple[str, ...]:
    """Returns the class names of Kinetics-400, sorted, as its checkpoints number them.

    Returns:
        400 strings.

    Example:

    ```python
    keras_t3d.transfer.kinetics400_classes()[:2]  # ("abseiling", "air drumming")
    ```

    Reference:
        Kay et al., "The Kinetics Human Action Video Dataset", 2017,
        https://arxiv.org/abs/1705.06950
    """
    text = pathlib.Path(__file__).with_name("kinetics400.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())

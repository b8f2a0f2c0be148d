"""Options of an evaluation, each declared once."""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_t3d.clips import crop_positions
from keras_t3d.errors import check_argument, check_integer

PROTOCOLS = ("views", "t3d", "stc")
_CROP_TEXTS = {1: "the centre crop", 3: "3 crops along the long side", 5: "centre and corners"}

HeatMethod = Literal["hires_cam", "grad_cam"]


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """Which views of each video are scored; the score of a video is the mean over them.

    Args:
        protocol: `views`: N clips x M crops; `t3d`, `stc`: as in the papers, the centre crop of
            non-overlapping clips that cover every frame, see docs/evaluation.md.
        views: clips per video, spread over it; 1 if not given. Only for the protocol `views`.
        crops: crops of each clip, 1, 3 or 5; 1 if not given. Only for the protocol `views`.
        batch_size: views per prediction.

    Raises:
        InvalidArgumentError: if a value is out of its range, or `views` or `crops` is given for
            another protocol.

    Example:

    ```python
    EvaluationOptions(views=10, crops=3)  # 30 views of each video
    ```

    Reference:
        Diba et al., "Temporal 3D ConvNets", 2017, https://arxiv.org/abs/1711.08200
    """

    protocol: Literal["views", "t3d", "stc"] = "views"
    views: int | None = None
    crops: int | None = None
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_argument(
            "protocol", self.protocol, self.protocol in PROTOCOLS, f"one of {', '.join(PROTOCOLS)}"
        )
        for name in ("views", "crops"):
            value = getattr(self, name)
            is_valid = value is None or self.protocol == "views"
            rule = f"left out for the protocol {self.protocol}, which covers every frame"
            check_argument(name, value, is_valid, rule)
        for name in ("views", "batch_size"):
            value = getattr(self, name)
            if value is not None:
                check_integer(name, value, 1, 8)
        crop_positions(self.num_crops, 1, 1)  # raises if there is no such number of crops

    @property
    def num_clips(self) -> int | None:
        """Clips per video; None covers every frame."""
        return (self.views or 1) if self.protocol == "views" else None

    @property
    def num_crops(self) -> int:
        """Crops of each clip."""
        return 1 if self.crops is None else self.crops

    def description(self) -> str:
        """Returns the protocol in one sentence."""
        clips = (
            "non-overlapping clips that cover every frame"
            if self.num_clips is None
            else "the clip in the middle of the video"
            if self.num_clips == 1
            else f"{self.num_clips} clips spread over the whole video"
        )
        crops = _CROP_TEXTS[self.num_crops]
        return f"{clips}, {crops}, mean of the probabilities of all views"

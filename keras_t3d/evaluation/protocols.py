"""Test-time protocols: which clips and crops of a video are scored."""

from __future__ import annotations

import dataclasses

PROTOCOLS = ("views", "t3d", "stc")


@dataclasses.dataclass(frozen=True)
class ViewProtocol:
    """Which views of each video are scored; a video's score is their mean.

    Attributes:
        name: str, one of `PROTOCOLS`.
        num_views: int, clips spread over the whole video; or None, the consecutive clips
            that cover every frame.
        num_crops: int. 1, 3 or 5 crops of each clip.
    """

    name: str
    num_views: int | None
    num_crops: int

    def description(self) -> str:
        """Returns the protocol in one sentence."""
        crops = {1: "the centre crop", 3: "3 crops along the long side", 5: "centre and corners"}
        clips = (
            "non-overlapping clips that cover every frame"
            if self.num_views is None
            else "the clip in the middle of the video"
            if self.num_views == 1
            else f"{self.num_views} clips spread over the whole video"
        )
        return f"{clips}, {crops[self.num_crops]}, mean of the probabilities of all views"


def view_protocol(
    name: str = "views", num_views: int | None = None, num_crops: int | None = None
) -> ViewProtocol:
    """Returns a protocol by its name.

    Args:
        name: str. `"views"`: `num_views` clips times `num_crops` crops. `"t3d"` and
            `"stc"`: the video cut into non-overlapping clips, centre crop; how each
            paper is read stands in docs/evaluation.md. Defaults to `"views"`.
        num_views: int. For `"views"`. Defaults to `None`: 1.
        num_crops: int, 1, 3 or 5. For `"views"`. Defaults to `None`: 1.

    Returns:
        A ViewProtocol.

    Raises:
        ValueError: if there is no such protocol, or it sets itself what is given.

    Example:

    ```python
    view_protocol("views", num_views=10, num_crops=3)  # 30 views of each video
    view_protocol("t3d")  # as many clips as the video has room for
    ```

    Reference:
        Diba et al., "Temporal 3D ConvNets", 2017, https://arxiv.org/abs/1711.08200
    """
    if name not in PROTOCOLS:
        raise ValueError(f"The protocol must be one of {PROTOCOLS}. Received: {name!r}")
    if name == "views":
        return ViewProtocol(
            name, 1 if num_views is None else num_views, 1 if num_crops is None else num_crops
        )
    if num_views is not None or num_crops is not None:
        given = [
            f"{flag} {value}"
            for flag, value in (("--views", num_views), ("--crops", num_crops))
            if value is not None
        ]
        raise ValueError(
            f"The protocol {name} sets clips and crops itself: leave --views and --crops out, or "
            "say --protocol views, for example --protocol views --views 10 --crops 3. "
            f"Received: --protocol {name} with {' and '.join(given)}"
        )
    return ViewProtocol(name, None, 1)

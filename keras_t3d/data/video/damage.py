"""Describes what of a video was left out, or is missing."""

from __future__ import annotations

import os
import warnings

from keras_t3d.data.video.decoding import StreamDecoder
from keras_t3d.data.video.errors import DamagedVideoWarning
from keras_t3d.data.video.header import VideoHeader
from keras_t3d.data.video.span import Span

_ROUNDED = 0.5  # seconds: annotations may round up the end of a video by this much


def left_out_frames(
    decoder: StreamDecoder, num_unfit: int, why_unfit: str, num_decoded: int
) -> list[str]:
    """Returns descriptions of the packets and frames that were left out.

    Args:
        decoder: what decoded the video.
        num_unfit: frames that do not convert to RGB.
        why_unfit: why they do not.
        num_decoded: frames that were read.
    """
    found = []
    if decoder.num_bad:
        found.append(f"{_counted(decoder.num_bad, 'damaged packet')} left out")
    if num_unfit:
        found.append(f"{_counted(num_unfit, 'frame')} cannot be turned into RGB ({why_unfit})")
    if decoder.stopped:
        found.append(f"stopped after {_counted(num_decoded, 'frame')} ({decoder.stopped})")
    return found


def missing_frames(
    header: VideoHeader, span: Span, decoder: StreamDecoder, num_decoded: int, until: float
) -> str | None:
    """Describes what the header or the span states and the file does not hold; None if nothing.

    A file lacks frames if it ends earlier than stated and has fewer packets. It is whole where
    an edit list hides frames, where a recorder dropped some, and where a program that wrote to a
    pipe could not go back to state their number.

    Args:
        header: what the file states.
        span: the part that is requested.
        decoder: what decoded the file to its end.
        num_decoded: frames that were read.
        until: seconds at which the last frame ends.
    """
    stated = header.stated_frames
    tolerance = max(1.5 * header.gap, 0.0 if stated else _ROUNDED)
    lacks_seconds = min(header.stated_end, span.last) > until + tolerance
    if span.is_whole and stated:
        if lacks_seconds and decoder.num_packets < stated:
            return f"header says {header.num_frames} frames, {num_decoded} decode"
    elif lacks_seconds:
        return f"header says {header.stated_end:.2f} seconds, frames end at {until:.2f}"
    elif span.end is not None and span.end > until + _ROUNDED:
        return f"the span ends at {span.end:g} seconds, frames end at {until:.2f}"
    return None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def warn_of_damage(path: str | os.PathLike[str], damage: str | None) -> None:
    """Issues a DamagedVideoWarning if the frames of a video that were read are not all of it."""
    if damage:
        text = f"damaged, scored without what does not decode ({damage}): {os.fspath(path)}"
        warnings.warn(text, DamagedVideoWarning, stacklevel=4)

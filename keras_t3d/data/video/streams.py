"""Chooses the stream of a file that is its film."""

from __future__ import annotations

from typing import Any

from av.stream import Disposition

from keras_t3d.data.video.errors import VideoError

_PICTURES = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
_PREVIEW = 8  # a stream with an eighth of the pixels of another is a preview of it
_STILL = 0.5  # seconds; a shorter stream beside a film that is 8 times as long is a still


def film_streams(container: Any) -> list[Any]:
    """Returns the video streams that are no cover art or still, the likeliest film first.

    That is a stream of several frames before one of a single frame, then the one that the file
    marks as its default, then any but previews, then the first.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    most_pixels = max(map(_pixels, moving), default=0)
    longest = max((stated_seconds(stream) or 0.0 for stream in moving), default=0.0)

    def rank(stream: Any) -> tuple[bool, bool, bool, int]:
        is_default = bool(stream.disposition & Disposition.default)
        is_preview = _pixels(stream) * _PREVIEW < most_pixels
        seconds = stated_seconds(stream) or longest
        is_still = stream.frames == 1 or seconds < min(_STILL, longest / _PREVIEW)
        return not is_still, is_default, not is_preview, -stream.index

    return sorted(moving, key=rank, reverse=True)


def stated_seconds(stream: Any) -> float | None:
    """Returns the length that the file states for this stream alone; None if it states none."""
    tag = stream.metadata.get("DURATION", "")  # of Matroska, for which FFmpeg sets no duration
    try:
        hours, minutes, seconds = map(float, tag.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    except ValueError:
        return None if stream.duration is None else float(stream.duration * stream.time_base)


def _pixels(stream: Any) -> int:
    return (stream.width or 0) * (stream.height or 0) if stream.codec_context else 0


def choose_stream(container: Any, path: str) -> Any:
    """Returns the stream that is the film.

    Raises:
        VideoError: if there is none, or PyAV cannot decode it.
    """
    streams = film_streams(container)
    if not streams:
        has_cover = " but a cover picture" if container.streams.video else ""
        raise VideoError(f"The file has no video stream{has_cover}: {path}")
    if streams[0].codec_context is None:
        raise VideoError(f"PyAV has no decoder for this format: {path}")
    return streams[0]

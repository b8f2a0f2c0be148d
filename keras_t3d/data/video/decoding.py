"""Decodes the packets of a video stream to frames, leaving out damaged packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

# In a row. After a lost key frame, every packet up to the next one can be bad.
_MOST_BAD_PACKETS = 1000


class StreamDecoder:
    """Decodes a video stream, packet by packet.

    A packet that does not decode is left out. After 1,000 such packets in a row decoding stops.

    Args:
        container: an open container of PyAV.
        stream: its video stream.
        is_requested: whether the frame of a packet is requested. Other packets are decoded too,
            as frames may refer to them, but do not count as damage.

    Attributes:
        num_packets: packets read so far whose frames are to be shown.
        num_bad: requested packets that were left out.
        stopped: why the rest of the stream was not read; None if it was.

    Example:

    ```python
    with av.open("clip.mp4") as container:
        decoder = StreamDecoder(container, container.streams.video[0], lambda packet: True)
        frames = list(decoder.frames())
        print(decoder.num_bad, "bad packets")
    ```
    """

    def __init__(
        self, container: Any, stream: Any, is_requested: Callable[[av.Packet], bool]
    ) -> None:
        self._container = container
        self._stream = stream
        self._is_requested = is_requested
        self.num_packets = 0
        self.num_bad = 0
        self.stopped: str | None = None

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yields the frames that decode, in display order."""
        bad_in_a_row = 0
        for packet in self._packets():
            self.num_packets += not packet.is_discard  # skipped by an edit list
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self.num_bad += self._is_requested(packet)
                bad_in_a_row += 1
                if bad_in_a_row == _MOST_BAD_PACKETS:
                    self.stopped = f"{bad_in_a_row} damaged packets in a row"
                    break
                continue
            except (av.FFmpegError, OSError, ValueError) as error:
                self.stopped = reason(error)
                break
            bad_in_a_row = 0
            yield from frames
        yield from self._buffered()

    def _packets(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError, ValueError) as error:
                self.stopped = reason(error)
                return
            if packet is None:
                return
            if packet.size:  # an empty one would flush the decoder
                yield packet

    def _buffered(self) -> list[Any]:
        """Returns the frames that the decoder has buffered to reorder them."""
        end = av.Packet()
        end.stream, end.time_base = self._stream, self._stream.time_base
        try:
            return end.decode()
        except (av.FFmpegError, OSError, ValueError):
            return []


def reason(error: BaseException) -> str:
    """Returns FFmpeg's or the system's message for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

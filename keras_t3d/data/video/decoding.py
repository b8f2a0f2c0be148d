"""From the packets of a video stream to its frames; packets that are damaged are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

# In a row. Where a key frame is lost, every packet up to the next one can be bad.
_MOST_BAD_PACKETS = 1000


class StreamDecoder:
    """Decodes a video stream, packet by packet.

    A packet that does not decode is left out. When 1,000 in a row do not, the rest is given up.

    Args:
        container: an open container of PyAV.
        stream: its video stream.
        is_asked_for: says of a packet whether its frame is asked for. Others are decoded, too,
            as frames may refer to them, but that they are bad is no damage.

    Attributes:
        num_packets: int. Packets read so far whose frames are to be shown.
        num_bad: int. Packets asked for, and left out.
        stopped: str or None. Why the rest of the stream was not read.

    Example:

    ```python
    with av.open("clip.mp4") as container:
        decoder = StreamDecoder(container, container.streams.video[0], lambda packet: True)
        frames = list(decoder.frames())
        print(decoder.num_bad, "bad packets")
    ```
    """

    def __init__(
        self, container: Any, stream: Any, is_asked_for: Callable[[av.Packet], bool]
    ) -> None:
        self._container = container
        self._stream = stream
        self._is_asked_for = is_asked_for
        self.num_packets = 0
        self.num_bad = 0
        self.stopped: str | None = None

    def frames(self) -> Iterator[av.VideoFrame]:
        """Gives the frames that decode, in the order in which they are shown."""
        bad_in_a_row = 0
        for packet in self._packets():
            self.num_packets += not packet.is_discard  # those that an edit list skips
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self.num_bad += self._is_asked_for(packet)
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
        yield from self._held()

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
            if packet.size:  # an empty one would end the decoder, wherever it lies in the file
                yield packet

    def _held(self) -> list[Any]:
        """The frames that the decoder still holds, to put them in order."""
        end = av.Packet()
        end.stream, end.time_base = self._stream, self._stream.time_base
        try:
            return end.decode()
        except (av.FFmpegError, OSError, ValueError):
            return []


def reason(error: BaseException) -> str:
    """Returns why, in FFmpeg's or the system's words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

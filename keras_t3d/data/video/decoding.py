"""Opens video files, and decodes their packets to frames, leaving out damaged packets."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import av

from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.streams import choose_stream

# Metadata need not be UTF-8 to decode the frames. PyAV 19 ignores its encoding, and has no
# such option.
_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
# Formats that store when a packet is to be decoded, not when its frame is to be shown.
_WITHOUT_PRESENTATION_TIMES = ("avi", "asf")
_DEEPEST = 16  # frames that a decoder reorders; PyAV before 17 does not tell how many
# In a row. After a lost key frame, every packet up to the next one can be bad.
_MOST_BAD_PACKETS = 1000


def open_video(path: str) -> tuple[Any, Any]:
    """Opens a video file and returns PyAV's container and its video stream.

    Raises:
        VideoError: if it is not a local file, or PyAV cannot decode it.
    """
    if not os.path.isfile(path):
        if not os.path.exists(path):
            raise VideoError(f"No such file: {path}")
        what = "a folder" if os.path.isdir(path) else "a pipe or device"
        raise VideoError(f"Expected the path of a video file, not of {what}: {path}")
    try:
        # Absolute: FFmpeg takes "12:30.mp4" for a protocol.
        container = av.open(os.path.abspath(path), **_OPTIONS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"Cannot open the file as a video ({reason(error)}): {path}") from None
    try:
        return container, choose_stream(container, path)
    except VideoError:
        container.close()
        raise


def has_presentation_times(stream: Any) -> bool:
    """Returns whether the file states when frames are shown; AVI states when to decode them."""
    return stream.container.format.name not in _WITHOUT_PRESENTATION_TIMES


class StreamDecoder:
    """Decodes a video stream, packet by packet.

    A packet that does not decode is left out. After 1,000 such packets in a row decoding stops.
    The timestamps of frames are those at which they are shown. In files that state only when a
    packet is to be decoded, which FFmpeg guesses from, the frames get the times of the packets
    in order.

    Args:
        container: an open container of PyAV.
        stream: its video stream.
        is_requested: whether the frame of a packet is requested. Other packets are decoded too,
            as frames may refer to them, but do not count as damage.
        skip: number of packets to leave undecoded.

    Attributes:
        num_packets: packets read so far, with those that an edit list hides.
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
        self,
        container: Any,
        stream: Any,
        is_requested: Callable[[av.Packet], bool],
        skip: int = 0,
    ) -> None:
        self._container = container
        self._stream = stream
        self._is_requested = is_requested
        self._skip = skip
        self._has_presentation_times = has_presentation_times(stream)
        self._decoding_times: list[int] = []  # a heap; of packets whose frames are to come
        self.num_packets = 0
        self.num_bad = 0
        self.stopped: str | None = None

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yields the frames that decode, in display order."""
        bad_in_a_row = 0
        for packet in self._packets():
            self.num_packets += 1
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
            if packet.dts is not None and not self._has_presentation_times:
                heapq.heappush(self._decoding_times, packet.dts)
            yield from self._with_times(frames, self._most_held())
        yield from self._with_times(self._buffered(), 0)

    def _with_times(self, frames: list[av.VideoFrame], held: int) -> Iterator[av.VideoFrame]:
        """Yields frames with the times of their packets.

        Packets that gave no frame, as after a lost key frame, would leave their times to later
        frames: those in excess of the frames that the decoder can hold are passed over.
        """
        for left in range(len(frames), 0, -1):
            while len(self._decoding_times) > left + held:
                heapq.heappop(self._decoding_times)
            frame = frames[-left]
            if self._decoding_times:
                frame.pts = heapq.heappop(self._decoding_times)
                frame.time_base = self._stream.time_base
            yield frame

    def _most_held(self) -> int:
        context = self._stream.codec_context
        reordered = getattr(context, "reorder_depth", _DEEPEST if context.has_b_frames else 0)
        return reordered + max(context.thread_count - 1, 0)

    def _packets(self) -> Iterator[av.Packet]:
        packets = filled_packets(self._container, self._stream)
        packets = itertools.islice(packets, self._skip, None)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError, ValueError) as error:
                self.stopped = reason(error)
                return
            if packet is None:
                return
            yield packet

    def _buffered(self) -> list[Any]:
        """Returns the frames that the decoder has buffered to reorder them."""
        end = av.Packet()
        end.stream, end.time_base = self._stream, self._stream.time_base
        try:
            return end.decode()
        except (av.FFmpegError, OSError, ValueError):
            return []


def filled_packets(container: Any, stream: Any) -> Iterator[av.Packet]:
    """Returns the packets of a stream but the empty ones, which would flush its decoder."""
    return filter(lambda packet: packet.size, container.demux(stream))


def reason(error: BaseException) -> str:
    """Returns FFmpeg's or the system's message for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def why_unreadable(error: VideoError | av.FFmpegError, path: str) -> str:
    """Returns why a video cannot be read, without its path."""
    if isinstance(error, VideoError):
        return str(error).removesuffix(f": {path}")
    return reason(error)

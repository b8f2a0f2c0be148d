"""Decodes several videos at a time, in the order in which they are listed."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar


class Decoder(Protocol):
    """What decodes one video at a time, until `stop` ends it from another thread."""

    def stop(self) -> None: ...


D = TypeVar("D", bound=Decoder)
Video = TypeVar("Video")
Result = TypeVar("Result")


@contextlib.contextmanager
def decoded_in_order(
    decoders: Sequence[D],
    decode: Callable[[D, Video], Result],
    videos: Iterable[Video],
    ahead: int,
) -> Iterator[Iterator[Result]]:
    """Yields the results of `decode` in the order of the videos; stops the decoders at the end.

    Args:
        decoders: as many videos are decoded at a time.
        decode: called with a decoder that is idle and a video, in threads.
        videos: the videos, read as they are needed.
        ahead: videos, at most, that are decoded or being decoded when a result is taken.
    """
    idle: queue.SimpleQueue[D] = queue.SimpleQueue()
    for decoder in decoders:
        idle.put(decoder)

    def decode_when_idle(video: Video) -> Result:
        decoder = idle.get()
        try:
            return decode(decoder, video)
        finally:
            idle.put(decoder)

    videos = iter(videos)
    with concurrent.futures.ThreadPoolExecutor(len(decoders)) as pool:

        def results() -> Iterator[Result]:
            waiting = collections.deque(
                pool.submit(decode_when_idle, video) for video in itertools.islice(videos, ahead)
            )
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(
                    pool.submit(decode_when_idle, video) for video in itertools.islice(videos, 1)
                )

        try:
            yield results()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for decoder in decoders:
                decoder.stop()

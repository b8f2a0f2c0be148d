"""Writes the windows of videos to files while they are predicted."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

from keras_t3d.inference.timeline import Timeline
from keras_t3d.inference.window_prediction import WindowPrediction
from keras_t3d.inference.window_records import WriteRecord, window_file, window_record


@dataclasses.dataclass
class WindowOutputs:
    """Receives the windows of videos; see `window_outputs`.

    Attributes:
        num_windows: number of windows received.
        title: name of the first video.
    """

    class_names: Sequence[str]
    top: int
    write: WriteRecord | None
    plot: Timeline | None
    num_windows: int = 0
    title: str = ""

    def add(self, video: str, window: WindowPrediction) -> None:
        """Writes the next window of a video."""
        if self.write is not None:
            self.write(window_record(video, window, self.class_names, self.top))
        if self.plot is not None:
            self.plot.add(window)
        self.title = self.title or os.path.basename(video)
        self.num_windows += 1


@contextlib.contextmanager
def window_outputs(
    class_names: Sequence[str],
    top: int,
    scores: str | None,
    timeline: str | None,
    notify: Callable[[str], None],
) -> Iterator[WindowOutputs]:
    """Opens files for windows; if the block fails, they keep the windows so far, if any.

    Args:
        class_names: one name per class.
        top: how many classes to write.
        scores: file for `window_file`; None writes none.
        timeline: file for `Timeline.save`; None writes none.
        notify: receives a line for each file.

    Yields:
        WindowOutputs.
    """
    failure: Exception | None = None
    plot = Timeline(class_names) if timeline is not None else None
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(window_file(scores)) if scores is not None else None
        outputs = WindowOutputs(class_names, top, write, plot)
        try:
            yield outputs
        except Exception as error:
            if outputs.num_windows == 0:
                raise
            failure = error
    if scores is not None:
        notify(f"Wrote {scores}: {outputs.num_windows} windows")
    if timeline is not None and plot is not None and outputs.num_windows:
        plot.save(timeline, top, title=outputs.title)
        notify(f"Wrote {timeline}")
    elif timeline is not None:
        notify("No timeline: the video ended before the first window")
    if failure is not None:
        raise failure

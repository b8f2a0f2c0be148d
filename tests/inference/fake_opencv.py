"""A fake of OpenCV's windows that needs no screen."""

from types import SimpleNamespace


class FakeOpenCV(SimpleNamespace):
    """OpenCV with one window at a time, which the user may close.

    Args:
        keys: keys that `waitKey` returns, one per call; -1 after them.
        closed_after: number of frames after which the user closes the window, during `waitKey`.
    """

    WINDOW_NORMAL, WINDOW_KEEPRATIO, WND_PROP_VISIBLE = 0, 0, 4

    class error(Exception):  # noqa: N801, N818, as OpenCV calls it
        pass

    def __init__(self, keys=(), closed_after=None):
        super().__init__(keys=list(keys), closed_after=closed_after, shown=[], waits=[], opened=[])
        self.window, self.size = None, None

    def namedWindow(self, title, kind):
        self.window = title
        self.opened.append(title)

    def resizeWindow(self, title, width, height):
        self._check(title)
        self.size = (width, height)

    def waitKey(self, milliseconds):
        assert milliseconds > 0, "0 would wait for ever"
        self.waits.append(milliseconds)
        if len(self.shown) == self.closed_after:
            self.window = None
        return self.keys.pop(0) if self.keys else -1

    def imshow(self, title, picture):
        if self.window is None:  # as the real one does
            self.namedWindow(title, 1)
        self.shown.append(picture.copy())

    def getWindowProperty(self, title, which):
        self._check(title)
        return 1.0 if self.shown else 0.0  # as with Qt, where another window was closed before

    def destroyWindow(self, title):
        self._check(title)
        self.window = None

    def _check(self, title):
        if self.window != title:
            raise self.error("NULL guiReceiver (please create a window)")

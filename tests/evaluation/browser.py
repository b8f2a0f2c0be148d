"""Opens a page in Chromium without a display; prints what sticks out, and takes a screenshot.

python browser.py PAGE SCREENSHOT WIDTH light|dark     (needs PyQt6-WebEngine)

Prints a JSON list of the elements that are wider than the window, but for boxes that scroll.
"""

import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
page, screenshot, width, colours = sys.argv[1:]
_FLAGS = "--no-sandbox --disable-gpu --hide-scrollbars"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = (
    f"{_FLAGS} --blink-settings=preferredColorScheme={0 if colours == 'dark' else 1}"
)

from PyQt6.QtCore import QTimer, QUrl  # noqa: E402
from PyQt6.QtWebEngineWidgets import QWebEngineView  # noqa: E402
from PyQt6.QtWidgets import QApplication  # noqa: E402

STICKS_OUT = """
[...document.querySelectorAll("body *")]
    .filter(element => !element.closest(".wide"))
    .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
    .map(element => element.tagName + " " + element.textContent.trim().slice(0, 40))
"""

application = QApplication(sys.argv[:1])
view = QWebEngineView()
view.resize(int(width), 1200)


def finish(found: object) -> None:
    print(json.dumps(found))
    view.grab().save(screenshot)
    application.quit()


def measure() -> None:
    opened = view.page()
    assert opened is not None
    opened.runJavaScript(STICKS_OUT, finish)


view.loadFinished.connect(lambda _: QTimer.singleShot(1000, measure))
view.load(QUrl.fromLocalFile(os.path.abspath(page)))
view.show()
QTimer.singleShot(60_000, application.quit)
application.exec()

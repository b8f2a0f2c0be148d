"""Signals that ask work to end, and work that ends where it asks for them."""

import os
import signal
import sys
import threading

import pytest

from keras_t3d.inference.stop_signals import Stopped, stopped_by_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")


@pytest.fixture(autouse=True)
def heard():
    """In the background SIGINT is ignored, under nohup SIGHUP, and so they would be in tests."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stopped_by_signals() as asked:
        asked.check()
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
        assert asked.number == number
        with pytest.raises(Stopped):
            asked.check()
        os.kill(os.getpid(), number)
        pytest.fail("the second signal did not interrupt")
    assert stopped.value.number == number
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert signal.getsignal(number) is before


def test_a_closed_terminal_asks_and_never_insists():
    # The system and the shell both send it; a request to terminate may follow.
    with pytest.raises(Stopped) as stopped, stopped_by_signals() as asked:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked.number == signal.SIGHUP
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked.number == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second request did not interrupt")
    assert stopped.value.number == signal.SIGTERM


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stopped_by_signals() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not asked()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_nothing_changes():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with stopped_by_signals() as asked:
            seen.append((asked(), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]

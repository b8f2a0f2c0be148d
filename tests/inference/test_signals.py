"""Signals that ask the work to stop."""

import os
import signal
import sys
import threading

import pytest

from keras_t3d.inference.signals import StoppedBySignal, catch_stop_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")


@pytest.fixture(autouse=True)
def default_handlers():
    """Resets SIGINT and SIGHUP, which are ignored in background jobs and under nohup."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded_and_the_second_raises(number):
    before = signal.getsignal(number)
    with pytest.raises(StoppedBySignal) as stopped, catch_stop_signals() as request:
        request.check()
        assert not request()
        os.kill(os.getpid(), number)
        assert request()
        assert request.number == number
        with pytest.raises(StoppedBySignal):
            request.check()
        os.kill(os.getpid(), number)
        pytest.fail("the second signal did not raise")
    assert stopped.value.number == number
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert signal.getsignal(number) is before


def test_repeated_hangups_do_not_raise():
    # The system and the shell both send SIGHUP; SIGTERM may follow.
    with pytest.raises(StoppedBySignal) as stopped, catch_stop_signals() as request:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert request.number == signal.SIGHUP
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert request.number == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second SIGTERM did not raise")
    assert stopped.value.number == signal.SIGTERM


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with catch_stop_signals() as request:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not request()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_kept_outside_the_main_thread():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with catch_stop_signals() as request:
            seen.append((request(), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]

import subprocess
import sys
import threading
import time

import pytest
import tensorflow as tf

from keras_t3d.data.clips import python_calls
from keras_t3d.data.clips.python_calls import _Calls, call_python

# Without `call_python`, about half of the processes never exit.
EXITS_WHILE_IT_READS = """
import os
import signal
import time
import tensorflow as tf
from keras_t3d.data.clips.python_calls import call_python

def ends(process):
    for _ in range(200):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.1)
    os.kill(process, signal.SIGKILL)

for _ in range(4):
    process = os.fork()
    if process:
        assert ends(process)
        continue
    numbers = tf.data.Dataset.counter().map(
        lambda number: call_python(lambda n: n + sum(range(200)), [number], tf.int64),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    batches = numbers.map(lambda number: number + 1, tf.data.AUTOTUNE).batch(4)
    iterator = iter(batches.prefetch(200))
    next(iterator)
    break
"""


@pytest.mark.process
def test_python_exits_while_a_pipeline_reads_ahead():
    subprocess.run([sys.executable, "-c", EXITS_WHILE_IT_READS], check=True, timeout=180)


def test_functions_take_and_return_arrays():
    doubled = call_python(lambda numbers: 2 * numbers, [tf.constant([1, 2])], tf.int32)
    assert doubled.numpy().tolist() == [2, 4]


def test_calls_are_refused_after_those_that_run():
    calls, rested = _Calls(), []
    calls.begin()
    waiting = threading.Thread(target=lambda: (calls.refuse(), rested.append(True)))
    waiting.start()
    time.sleep(0.5)
    assert not rested
    with pytest.raises(RuntimeError):
        calls.begin()
    calls.end()
    waiting.join(5)
    assert rested


def test_a_call_that_fails_is_over():
    def fail(number):
        raise ValueError("spoilt")

    with pytest.raises(ValueError, match="spoilt"):
        call_python(fail, [tf.constant(1)], tf.int32)
    assert not python_calls._CALLS._running


def test_a_forked_process_has_no_calls():
    calls = _Calls()
    calls.begin()
    calls.forget()
    calls.refuse()

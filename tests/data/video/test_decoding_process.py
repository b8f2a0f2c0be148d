"""Tasks that crash or hang a process; the stand-in for a worker does so by their names."""

import subprocess
import sys
import threading
import time

import pytest

from keras_t3d.data.video import decoding_process
from keras_t3d.data.video.decoding_process import DecodingProcess, StoppedError

pytestmark = pytest.mark.process

WORKER = """
import os, pathlib, time
from keras_t3d.data.video.decoding_worker import answer_tasks

def work(task, frame_decoded):
    name = task["name"]
    if name == "crash":
        os.abort()
    if name.startswith("once") and not os.path.exists(name):
        pathlib.Path(name).touch()
        os.kill(os.getpid(), 9)
    if name == "exit":
        os._exit(3)
    if name == "memory":
        raise MemoryError
    if name == "hang":
        time.sleep(60)
    if name == "slow":
        for _ in range(4):
            time.sleep(0.6)
            frame_decoded()
    if name == "chatty":
        print("a library's warning")
    return {"said": name}, b"\\n" * task.get("size", 0)

answer_tasks(work)
"""


def start_process(module):
    command = [sys.executable, "-c", WORKER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(decoding_process, "_start_process", start_process)
    process = DecodingProcess("a.worker", time_limit=15.0)
    yield process
    process.stop()


def ask(process, name, **task):
    return process.answer({"name": name, **task})


def test_an_answer_has_values_and_bytes(process):
    assert ask(process, "a") == ({"said": "a"}, b"")
    assert ask(process, "b", size=3_000_000) == ({"said": "b"}, b"\n" * 3_000_000)
    assert ask(process, "chatty") == ({"said": "chatty"}, b"")


@pytest.mark.parametrize(("name", "how"), [("crash", "signal 6"), ("exit", "exit status 3")])
def test_a_crash_costs_one_task_only(process, name, how):
    assert ask(process, name) == ({"reason": f"The decoder crashed ({how})"}, b"")
    assert ask(process, "good") == ({"said": "good"}, b"")


def test_a_task_whose_process_was_killed_is_tried_again(process):
    assert ask(process, "once") == ({"said": "once"}, b"")


def test_too_little_memory_is_a_reason(process):
    assert ask(process, "memory") == ({"reason": "Out of memory"}, b"")


def test_a_hang_costs_one_task_only(process):
    ask(process, "good")  # it has started by now
    process.time_limit = 1.0
    assert ask(process, "hang") == ({"reason": "Decoding timed out: no frame for 1 s"}, b"")
    process.time_limit = 15.0
    assert ask(process, "good") == ({"said": "good"}, b"")


def test_a_slow_video_has_time_as_long_as_frames_come(process):
    ask(process, "good")
    process.time_limit = 1.8
    assert ask(process, "slow") == ({"said": "slow"}, b"")  # takes longer than that


def test_a_stopped_process_answers_no_more(process):
    process.stop()
    with pytest.raises(StoppedError):
        ask(process, "good")


def gone(child):
    """Whether a process has ended, was waited for, and its pipes are closed."""
    return child.returncode == -9 and child.stdin.closed and child.stdout.closed


def test_stopping_an_idle_process_leaves_neither_process_nor_pipes(process):
    process.start()
    child = process._process
    assert child.poll() is None
    process.stop()
    assert gone(child)
    process.stop()  # again does no harm


def test_stopping_a_process_at_work_ends_its_task(process):
    ask(process, "good")
    child, said = process._process, []

    def work():
        try:
            ask(process, "hang")
        except StoppedError as error:
            said.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive() and not process._answering.locked():
        time.sleep(0.01)
    process.stop()
    assert gone(child)
    thread.join(30)
    assert len(said) == 1


def test_a_process_that_is_just_starting_is_stopped_too(process, monkeypatch):
    children = []
    stopper = threading.Thread(target=process.stop)

    def stopped_meanwhile(module):
        stopper.start()
        stopper.join(0.3)  # it may wait for the start, which is not to wait for it
        children.append(start_process(module))
        return children[-1]

    monkeypatch.setattr(decoding_process, "_start_process", stopped_meanwhile)
    with pytest.raises(StoppedError):
        ask(process, "good")
    stopper.join(30)
    assert len(children) == 1
    assert gone(children[0])


def test_a_process_multiplies_matrices_with_one_thread(monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: started.append(how["env"]))
    decoding_process._start_process("a.worker")
    assert started[0]["OPENBLAS_NUM_THREADS"] == started[0]["OMP_NUM_THREADS"] == "1"

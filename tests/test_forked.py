"""Forked processes behave as those of `subprocess`."""

import signal
import subprocess

import pytest

from tests import forked

pytestmark = pytest.mark.process


def test_a_program_has_its_own_arguments_variables_output_and_exit_code(tmp_path):
    code = (
        "import os, sys, tensorflow\n"
        "print(sys.argv[1:], os.environ['COLOUR'], os.getcwd(), __name__)\n"
        "sys.exit('wrong')"
    )
    done = forked.run(["-c", code, 1, "b"], env={"COLOUR": "red"}, cwd=tmp_path)
    assert done.stdout == f"['1', 'b'] red {tmp_path} __main__\n"
    assert (done.stderr, done.returncode) == ("wrong\n", 1)


def test_a_program_can_be_killed():
    process = forked.start(["-c", "import time; time.sleep(600)"])
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_failure_is_shown():
    with pytest.raises(AssertionError, match="no_such_name"):
        forked.run(["-c", "no_such_name"], check=True)

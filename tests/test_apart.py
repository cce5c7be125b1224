import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rsa_face.apart import Apart

MEBIBYTE = 2**20
of_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
of_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks, or signals")


@pytest.fixture
def make():
    made = []

    def one(module, function):
        made.append(Apart(module, function))
        return lambda *arguments, memory=500 * MEBIBYTE, seconds=20: made[-1](
            *arguments, memory=memory, seconds=seconds
        )

    yield one
    for apart in made:
        apart.close()


def test_a_function_is_called_in_one_process_that_stays(make):
    getpid = make("os", "getpid")
    assert getpid() == getpid() != os.getpid()
    assert make("math", "gcd")(12, 18) == 6


def test_what_it_raises_is_said_and_the_process_stays(make):
    sqrt = make("math", "sqrt")
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        sqrt(-1)
    assert sqrt(4) == 2
    with pytest.raises(ValueError, match="not JSON serializable"):
        make("builtins", "complex")(1)


def test_where_it_ends_the_process_it_is_refused_and_the_next_call_starts_another(make):
    run = make("builtins", "eval")
    first = run("__import__('os').getpid()")
    for end in ("__import__('os').abort()", "__import__('os')._exit(0)"):
        with pytest.raises(ValueError, match="crashes over it, or does not come to its end"):
            run(end)
        assert run("__import__('os').getpid()") != first


@of_posix
def test_where_it_takes_too_long_it_is_refused(make):
    with pytest.raises(ValueError, match="does not come to its end"):
        make("builtins", "eval")("[1 for _ in iter(int, 1)]", seconds=1)


@of_linux
def test_where_it_takes_too_much_memory_it_is_refused_each_time_by_what_it_takes_itself(make):
    length = make("builtins", "eval")
    for _ in range(3):
        with pytest.raises(ValueError, match="asks for more memory than it could fill"):
            length(f"len(bytes({200 * MEBIBYTE}))", memory=100 * MEBIBYTE)
        assert length(f"len(bytes({50 * MEBIBYTE}))", memory=100 * MEBIBYTE) == 50 * MEBIBYTE


def test_a_process_that_does_not_start_is_said_with_how_to_see_why(make, monkeypatch):
    with pytest.raises(RuntimeError, match=r"must start .* Run it with -c 'from no_such_module import x' to see why"):
        make("no_such_module", "x")()


def test_threads_get_their_own_answers(make):
    power = make("builtins", "pow")
    found = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: power(k, 3)})) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: k**3 for k in range(20)}


@of_posix
def test_a_forked_process_asks_one_of_its_own(make):
    getpid = make("os", "getpid")
    ours = getpid()
    here, there = os.pipe()
    if os.fork() == 0:
        os.write(there, str(getpid()).encode())
        os._exit(0)
    os.close(there)
    with os.fdopen(here) as answer:
        assert int(answer.read()) not in (ours, os.getpid())
    os.wait()
    assert getpid() == ours


ENDING = """
import sys
from rsa_face.apart import Apart
run = Apart("builtins", "eval")
print(run("__import__('os').getpid()", memory=2**30, seconds=20), flush=True)
run("__import__('time').sleep(3)", memory=2**30, seconds=20) if sys.argv[1] == "wait" else None
"""


@of_posix
@pytest.mark.parametrize("how", ["end", "interrupt", "kill"])
def test_it_ends_with_the_process_that_started_it(how):
    words = [sys.executable, "-c", ENDING, "end" if how == "end" else "wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        other = int(process.stdout.readline())
        time.sleep(0.5)
        if how != "end":
            process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(other) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(other)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"

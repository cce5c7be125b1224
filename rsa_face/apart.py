"""A function in a process of its own, with limits: what ends that process, or floods it, does not end this one."""

import atexit
import json
import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from rsa_face.untrusted import in_short

_READY = "ready\n"


class Apart:
    """A function of a module, called in a process that starts with the first call and stays for those to come.

    Parameters
    ----------
    module, function : str
        Where it is; its arguments and its result are what JSON can hold.
    """

    def __init__(self, module: str, function: str) -> None:
        self._serves = f"from {module} import {function}; from {__name__} import serve; serve({function})"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._started_by = 0
        atexit.register(self.close)

    def __call__(self, *arguments: Any, memory: int, seconds: int) -> Any:
        """Call the function.

        Parameters
        ----------
        *arguments : JSON
            What to call it with.
        memory : int
            How many bytes it may take, where the system can tell (Linux).
        seconds : int
            How long the processor may be at it, where the system can tell (not Windows).

        Returns
        -------
        JSON
            What it returned.

        Raises
        ------
        ValueError
            With what it raised, in a line; or if the process came to an end over it.
        RuntimeError
            If the process does not start.
        """
        with self._lock:
            try:
                process = self._running()
                if process.stdin:
                    process.stdin.write(json.dumps([arguments, memory, seconds]) + "\n")
                    process.stdin.flush()
                line = process.stdout.readline() if process.stdout else ""
            except BrokenPipeError:
                line = ""
            except BaseException:
                self.close()
                raise
            if not line:
                self.close()
        if not line:
            message = "the library that reads such files crashes over it, or does not come to its end"
            raise ValueError(message)
        answer = json.loads(line)
        if "refused" in answer:
            raise ValueError(answer["refused"])
        return answer["result"]

    def close(self) -> None:
        """End the process, if this one started it; the next call starts another."""
        process, self._process = self._process, None
        if process is not None and self._started_by == os.getpid():
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._started_by != os.getpid():  # a forked process must not listen to another's
            places = (str(Path(__file__).parents[1]), *filter(None, sys.path))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", self._serves],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for this process, which then ends the other
            )
            self._started_by = os.getpid()
            if self._process.stdout is None or self._process.stdout.readline() != _READY:
                message = (
                    f"A process must start to look at a stranger's file, but {sys.executable!r} ended at once. "
                    f"Run it with -c {self._serves.partition(';')[0]!r} to see why."
                )
                raise RuntimeError(message)
        return self._process


def serve(function: Any) -> None:
    """Answer calls from standard input until it ends: in the process apart.

    Parameters
    ----------
    function : callable
        What is called.
    """
    sys.stdout.write(_READY)
    sys.stdout.flush()
    for line in sys.stdin:
        arguments, memory, seconds = json.loads(line)
        _limit(memory, seconds)
        try:
            answer = json.dumps({"result": function(*arguments)})
        except MemoryError:
            answer = json.dumps({"refused": "it asks for more memory than it could fill"})
        except Exception as error:  # noqa: BLE001 - whatever a library raises over a damaged file
            answer = json.dumps({"refused": in_short(error)})
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def _limit(memory: int, seconds: int) -> None:
    """Let this process take so much more memory and so many more seconds than it has taken."""
    with suppress(ImportError, OSError, ValueError):  # where there are no such limits, or lower ones already
        resource = import_module("resource")
        used = math.ceil(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))

"""Processes of their own for what is killed, starved, interrupted or run beside another: forked, so that they are quick."""

import ctypes
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from rsa_face.cli import main

_LONGEST = 600.0  # seconds until a process is called stuck: a machine that others use may be slow
_HELD = 1.0  # a step of 10 ms that takes longer was no waiting: we were stopped
_OVERRIDE = 1 << 1  # CAP_DAC_OVERRIDE: root's right to write where nobody may
BROKEN = 70


@dataclass(frozen=True)
class Child:
    """A process that was started, the leader of its group.

    Parameters
    ----------
    number : int
        Its process id.
    ear : int
        What it says on standard error is read here; up to 64 kB are kept until then.
    waits : list of float
        Seconds from the signal to its end, if there was one.
    lasted : list of float
        Seconds that its end was waited for in all.
    """

    number: int
    ear: int
    waits: list[float] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)

    def is_running(self) -> bool:
        return os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def hear(self, words: str) -> str:
        """Wait until some words were said; return all that was."""
        said = ""
        while words not in said:
            heard = os.read(self.ear, 4096).decode(errors="replace")
            assert heard, f"ended without {words!r}: {said}"
            said += heard
        return said

    def end(self, *, after: float | None = None, by: int = signal.SIGKILL) -> tuple[int, str]:
        """Wait for the end, sending a signal to the whole group after so many seconds; return exit code and words."""
        longest = _LONGEST if after is None else after
        self.lasted.append(self._wait(longest))
        if self.is_running():
            os.killpg(self.number, by if after is not None else signal.SIGKILL)
            self.waits.append(self._wait(_LONGEST))
            self.lasted[-1] += self.waits[-1]
            if self.is_running():
                os.killpg(self.number, signal.SIGKILL)
        status = os.waitpid(self.number, 0)[1]
        with os.fdopen(self.ear, errors="replace") as heard:
            said = heard.read()
        return (-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)), said

    def left(self) -> bool:
        """Return whether a process of the group outlived its leader."""
        try:
            os.killpg(self.number, 0)
        except ProcessLookupError:
            return False
        return True

    def _wait(self, seconds: float) -> float:
        """Wait for the end, at most so long; return how long it took.

        While a machine holds all of us (SIGSTOP, a laptop that sleeps), no time passes here.
        """
        passed, last = 0.0, time.monotonic()
        while self.is_running() and passed < seconds:
            time.sleep(0.01)
            now = time.monotonic()
            passed += min(now - last, _HELD)
            last = now
        return passed


def start(words: list[str], *, before: Callable[[], object] = lambda: None) -> Child:
    """Start ``rsa-face`` with some words in a process of its own."""

    def run() -> None:
        before()
        main(words)

    return start_calling(run)


def start_calling(call: Callable[[], object]) -> Child:
    """Start a function in a process of its own; its exit code is 70 if it raises."""
    ear, mouth = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking where zarr has threads: it starts its own anew
        number = os.fork()
    if number == 0:
        code = BROKEN
        try:
            os.setpgid(0, 0)
            os.close(ear)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have begun us without one
            sys.stdout, sys.stderr = Path(os.devnull).open("w"), os.fdopen(mouth, "w", buffering=1)  # noqa: SIM115
            torch.set_num_threads(1)
            call()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            os.write(mouth, traceback.format_exc().encode())
        os._exit(code)
    os.close(mouth)
    os.setpgid(number, number)
    return Child(number, ear)


def obey_permissions() -> None:
    """Give up root's right to write where nobody may; others have none to give up."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        sets[0] &= ~_OVERRIDE
        sets[1] &= ~_OVERRIDE
        assert libc.capset(header, sets) == 0

"""Ctrl-C: what is at work ends in its own way, and what does not heed it is ended a moment later all the same."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

INTERRUPTED = 130
SENTENCE = "Interrupted. What was finished is kept; run the same command to go on."
_MOMENT = 1.2  # seconds from the interrupt to the end


@dataclass(frozen=True)
class Interrupts:
    """Whether Ctrl-C was pressed, and whether that was said.

    Parameters
    ----------
    heard, said : threading.Event
        Set once it was.
    """

    heard: threading.Event = field(default_factory=threading.Event)
    said: threading.Event = field(default_factory=threading.Event)

    def say(self) -> int:
        """Say once, on standard error, how to go on.

        Returns
        -------
        int
            The exit code.
        """
        if not self.said.is_set():
            print(SENTENCE, file=sys.stderr, flush=True)
            with suppress(OSError):
                sys.stdout.flush()
            self.said.set()  # from here on the process may end
        return INTERRUPTED


@contextmanager
def heeding_interrupts() -> Iterator[Interrupts]:
    """End this process within a moment of Ctrl-C, whatever it is doing.

    Python hands an interrupt to the main thread alone, between two steps of it, and may wait there for minutes: for
    threads that compute draws, for a library's long call, for workers that take their leave. In a callback of a
    library, it is lost altogether, or makes what comes after fail. Whatever this package writes outlives a kill, so
    nothing is lost by not waiting.

    Yields
    ------
    Interrupts
        What has come. Where Ctrl-C is not Python's own to heed, in a thread or in the background, nothing is watched
        for.
    """
    interrupts = Interrupts()
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not ignored (in the background), nor ours
    if not own or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupts.heard.set()
        raise KeyboardInterrupt

    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    threading.Thread(target=_listen, args=(ear, interrupts), name="interrupts", daemon=True).start()
    before, unraisable = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False), sys.unraisablehook
    sys.unraisablehook = lambda lost: None if interrupts.heard.is_set() else unraisable(lost)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        if interrupts.heard.is_set():
            os._exit(interrupts.say())  # what libraries do at an exit takes as long as they like
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = unraisable
        signal.set_wakeup_fd(before)
        mouth.close()  # the listener ends


def _listen(ear: socket.socket, interrupts: Interrupts) -> None:
    with ear:
        while heard := ear.recv(1):
            if heard[0] == signal.SIGINT:
                interrupts.heard.set()
                if not interrupts.said.wait(_MOMENT):
                    print(file=sys.stderr)  # behind a bar
                os._exit(interrupts.say())

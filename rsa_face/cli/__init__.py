"""The ``rsa-face`` command: one thin command for each task, errors in a line or two, and an end at Ctrl-C."""

import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from rsa_face.cli.design import design_app
from rsa_face.cli.docs import docs
from rsa_face.cli.human import datasets_app, human_app
from rsa_face.cli.inference import inference_app
from rsa_face.cli.networks import activations_app, networks_app, weights_app
from rsa_face.cli.planning import planning_app
from rsa_face.cli.psychophysics import psychophysics_app
from rsa_face.cli.shared import SAID, plain, say
from rsa_face.cli.stimuli import stimuli_app
from rsa_face.cli.study import study_app

app = typer.Typer(
    name="rsa-face",
    help="Find where in a network face perception becomes human-like.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    study_app,
    stimuli_app,
    networks_app,
    weights_app,
    activations_app,
    human_app,
    datasets_app,
    inference_app,
    design_app,
    planning_app,
    psychophysics_app,
):
    app.add_typer(group)

app.command()(docs)

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130
SENTENCE = "Interrupted. What was finished is kept; run the same command to go on."
_MOMENT = 1.2  # seconds from the interrupt to the end
_PATIENCE = 0.5  # seconds after which a terminal that shows nothing yet is told what it waits for


def _print_version(wanted: bool) -> None:
    if wanted:
        import rsa_face

        say(f"rsa-face {rsa_face.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the code an error arose; may follow any command.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed at run time, 2 the request was wrong, 130 interrupted.

    Parameters
    ----------
    arguments : list of str, optional
        The words after ``rsa-face``; those of this process if not given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {plain(message)}\n"  # without the line that warns
    with heeding_interrupts() as interrupts, saying_what_is_loaded():
        sys.exit(_run(words, debug=debug, interrupts=interrupts))


@contextmanager
def saying_what_is_loaded() -> Iterator[None]:
    """Tell a terminal, which would stay blank while torch is loaded on a busy machine, that something happens."""

    def tell() -> None:
        if not SAID.is_set():
            print("Loading ...", file=sys.stderr, flush=True)

    timer = threading.Timer(_PATIENCE, tell)
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _run(words: list[str], *, debug: bool, interrupts: "Interrupts") -> int:
    try:
        code = app(args=words, standalone_mode=False)
    except TyperException as error:
        message = error.format_message().replace("Value error, ", "")  # a word of pydantic's
        if not message:  # no command was given, so its help was printed
            return DONE
        context = getattr(error, "ctx", None)
        command = str(context.command_path) if context is not None else "rsa-face"
        return _fail(f"{message} (`{command} --help` lists the options)", WRONG_REQUEST)
    except (KeyboardInterrupt, typer.Abort):
        return interrupts.say()
    except Exception as error:
        if debug:
            raise
        if interrupts.heard.is_set():  # what an interrupt made a library, or a worker that ended, raise
            return interrupts.say()
        if isinstance(error, ValueError | FileNotFoundError | ModuleNotFoundError):
            return _fail(str(error), WRONG_REQUEST)
        return _fail(_in_words(error), FAILED)
    return interrupts.say() if code == INTERRUPTED else int(code or DONE)  # Typer makes a code of the interrupt


def _fail(message: str, code: int) -> int:
    say(f"Error: {message}", err=True)
    return code


def _in_words(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) and error.filename is None else None
    if number and error.strerror != os.strerror(number):  # type: ignore[attr-defined] # a sentence of ours
        return str(error.strerror)  # type: ignore[attr-defined]
    return f"{type(error).__name__}: {error} (--debug shows where it arose)"


@dataclass(frozen=True)
class Interrupts:
    """Whether Ctrl-C was pressed, and whether that was reported; both are set once."""

    heard: threading.Event = field(default_factory=threading.Event)
    reported: threading.Event = field(default_factory=threading.Event)

    def say(self) -> int:
        """Print once, on standard error, how to go on, and return the exit code."""
        if not self.reported.is_set():
            print(SENTENCE, file=sys.stderr, flush=True)
            with suppress(OSError):
                sys.stdout.flush()
            self.reported.set()  # from here on the process may end
        return INTERRUPTED


@contextmanager
def heeding_interrupts() -> Iterator[Interrupts]:
    """End this process within a moment of Ctrl-C, whatever it is doing.

    Python gives an interrupt to the main thread alone, between two steps of it, and may wait there for minutes: for
    threads that compute draws, for a library's long call, for workers that take their leave. In a callback of a
    library, it is lost altogether, or makes what comes after fail. Whatever this package writes outlives a kill, so
    nothing is lost by not waiting. Where Ctrl-C is not Python's own to handle, in a thread or in the background,
    nothing is watched for.
    """
    interrupts = Interrupts()
    pythons = (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )  # not ignored (in the background), nor ours
    if not pythons or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupts.heard.set()
        raise KeyboardInterrupt

    # Python writes the number of each signal to this socket at once, whatever the main thread is doing
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
                if not interrupts.reported.wait(_MOMENT):
                    print(file=sys.stderr)  # behind a bar
                os._exit(interrupts.say())

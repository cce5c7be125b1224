"""The ``rsa-face`` command: one thin command for each stage, errors in a line or two."""

import os
import sys
import warnings
from typing import Annotated

import typer
from typer.exceptions import TyperException

from rsa_face.cli.activations import register as register_activations
from rsa_face.cli.docs import docs
from rsa_face.cli.figures import figures, report
from rsa_face.cli.human import datasets_app, human_app
from rsa_face.cli.inference import inference_app
from rsa_face.cli.interrupting import INTERRUPTED, Interrupts, heeding_interrupts
from rsa_face.cli.psychophysics import psychophysics_app, saliency_app
from rsa_face.cli.stimuli import stimuli_app
from rsa_face.cli.study import register as register_study
from rsa_face.cli.training import training_app, weights_app

app = typer.Typer(
    name="rsa-face",
    help="Where in a network does face perception become human-like?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

register_study(app)
register_activations(app)
app.add_typer(stimuli_app)
app.add_typer(human_app)
app.add_typer(datasets_app)
app.command("figures")(figures)
app.command("report")(report)
app.command("docs")(docs)
app.add_typer(training_app)
app.add_typer(weights_app)
app.add_typer(inference_app)
app.add_typer(psychophysics_app)
app.add_typer(saliency_app)

DONE, FAILED, WRONG_REQUEST = 0, 1, 2


def _print_version(wanted: bool) -> None:
    if wanted:
        import rsa_face

        print(f"rsa-face {rsa_face.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the code an error arose; may stand after any command.")
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
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"  # without the line that warns
    with heeding_interrupts() as interrupts:
        sys.exit(_run(words, debug=debug, interrupts=interrupts))


def _run(words: list[str], *, debug: bool, interrupts: Interrupts) -> int:
    try:
        code = app(args=words, standalone_mode=False)
    except TyperException as error:
        if not error.format_message():  # no command was given, so its help was printed
            return DONE
        return _say(f"{error.format_message()} (`{_command_of(error)} --help` lists the options)", WRONG_REQUEST)
    except (KeyboardInterrupt, typer.Abort):
        return interrupts.say()
    except Exception as error:
        if debug:
            raise
        if interrupts.heard.is_set():  # what an interrupt made a library, or a worker that ended, raise
            return interrupts.say()
        if isinstance(error, ValueError | FileNotFoundError | ModuleNotFoundError):
            return _say(str(error), WRONG_REQUEST)
        return _say(_in_words(error), FAILED)
    return interrupts.say() if code == INTERRUPTED else int(code or DONE)  # Typer makes a code of the interrupt


def _in_words(error: Exception) -> str:
    if (
        isinstance(error, OSError)
        and error.errno
        and error.filename is None
        and error.strerror != os.strerror(error.errno)
    ):
        return str(error.strerror)  # a sentence of ours
    return f"{type(error).__name__}: {error} (--debug shows where it arose)"


def _command_of(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "rsa-face"


def _say(message: str, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code

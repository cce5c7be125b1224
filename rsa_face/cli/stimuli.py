"""``rsa-face stimuli``: look at, mask and render stimuli."""

import typer

stimuli_app = typer.Typer(name="stimuli", help="Look at, mask and render stimuli.", no_args_is_help=True)


@stimuli_app.callback()
def _stimuli() -> None:
    pass

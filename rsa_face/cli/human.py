"""``rsa-face human``: simulate observers, always labelled so."""

import typer

human_app = typer.Typer(name="human", help="Simulate observers, always labelled so.", no_args_is_help=True)


@human_app.callback()
def _human() -> None:
    pass

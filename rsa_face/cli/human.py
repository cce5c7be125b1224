"""``rsa-face human``: check, convert and describe files of human behaviour."""

import typer

human_app = typer.Typer(
    name="human", help="Check, convert and describe files of human behaviour.", no_args_is_help=True
)


@human_app.callback()
def _human() -> None:
    pass

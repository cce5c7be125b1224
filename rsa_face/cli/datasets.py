"""``rsa-face datasets``: fetch public data sets by name, checked by sha256."""

import typer

datasets_app = typer.Typer(
    name="datasets", help="Fetch public data sets by name, checked by sha256.", no_args_is_help=True
)


@datasets_app.callback()
def _datasets() -> None:
    pass

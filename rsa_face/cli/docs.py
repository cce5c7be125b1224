"""``rsa-face docs``: the documentation as a site, built from its pages, the docstrings and the notebooks."""

import inspect
import re
import shutil
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping
from importlib import metadata, resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from rsa_face.cli.shared import say

PAGES = Path(str(resources.files("rsa_face"))) / "docs"
REPOSITORY = PAGES.parents[1]
"""Where a copy of the repository has notebooks and the descriptions of its folders; an installed package has none."""


def docs(
    out: Annotated[Path, typer.Option(help="Where to write the site.")] = Path("results/docs"),
    open_page: Annotated[bool, typer.Option("--open", help="Show the site in the browser when it is built.")] = False,
    run_notebooks: Annotated[
        bool, typer.Option(help="Run the notebooks, so that their pages have figures (some minutes).")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Treat every warning as an error.")] = False,
) -> None:
    r"""Build the documentation as a site that works offline, search included (needs rsa-face\[docs])."""
    index = build_site(out, run_notebooks=run_notebooks, strict=strict)
    say(f"Documentation: {index}")
    if open_page:
        webbrowser.open(index.resolve().as_uri())


def build_site(out: Path, *, run_notebooks: bool = False, strict: bool = False) -> Path:
    """Build the site, and return its first page."""
    try:
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace, patch_docutils
    except ModuleNotFoundError as error:
        message = "Sphinx is not installed. It builds the documentation: pip install 'rsa-face[docs]'."
        raise ModuleNotFoundError(message) from error
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        shutil.copytree(PAGES, source)
        _write_generated_pages(source)
        with patch_docutils(folder), docutils_namespace():
            site = Sphinx(
                str(source),
                None,
                str(out),
                str(Path(folder) / "doctrees"),
                "html",
                confoverrides=_settings(run_notebooks=run_notebooks),
                status=None,
                warningiserror=strict,
            )
            site.build()
    if site.statuscode:
        message = "The documentation has faults, named above."
        raise RuntimeError(message)
    return out / "index.html"


def _settings(*, run_notebooks: bool) -> dict[str, Any]:
    return {
        "project": "rsa_face",
        "release": metadata.version("rsa-face"),
        "extensions": ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"],
        "html_theme": "pydata_sphinx_theme",
        "html_theme_options": {"show_prev_next": False, "navigation_with_keys": False},
        "html_show_sourcelink": False,
        "autosummary_generate": True,
        "autodoc_typehints": "none",  # numpydoc's sections say them
        "numpydoc_show_class_members": False,  # methods stand on the page of their class
        "autodoc_default_options": {"exclude-members": "model_config, deletions, of"},
        "templates_path": ["_templates"],
        "myst_enable_extensions": ["colon_fence", "deflist"],
        "myst_heading_anchors": 3,
        "nb_execution_mode": "force" if run_notebooks else "off",
        "nb_execution_timeout": 600,
        "nb_execution_raise_on_error": True,
        "suppress_warnings": ["myst.header"],
    }


def _write_generated_pages(source: Path) -> None:
    """Write the pages that are made from the code: the API, the command line, the settings, the notebooks."""
    (source / "api.md").write_text("\n".join(_api_page()), "utf-8")
    (source / "command_line.md").write_text("\n".join(_command_line_page()), "utf-8")
    (source / "settings.md").write_text("\n".join(_settings_page()), "utf-8")
    for folder in ("human_data", "activations"):
        (source / f"{folder}.md").write_text(_page_of_folder(folder), "utf-8")
    notebooks = source / "notebooks"
    notebooks.mkdir()
    files = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
    for file in files:
        (notebooks / file.name).write_text(_notebook_in_site(file, source), "utf-8")
    lines = ["# Tutorials", "", "Each notebook runs offline in under two minutes.", ""]
    if files:
        lines += ["```{toctree}", ":maxdepth: 1", "", *(file.stem for file in files), "```"]
    else:
        lines += ["They are in the folder `notebooks/` of the repository."]
    (notebooks / "index.md").write_text("\n".join(lines), "utf-8")


def _notebook_in_site(file: Path, source: Path) -> str:
    """Return a notebook whose links to pages fit the site, once the repository's pictures in it are copied along."""
    text = file.read_text("utf-8")
    for name in set(re.findall(r"\(\.\./(\.github/[\w.-]+\.png)\)", text)):
        (source / ".github").mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, source / name)
    return re.sub(r"\]\(\.\./rsa_face/docs/([\w/.#-]+)\)", r"](../\1)", text)


def _page_of_folder(folder: str) -> str:
    readme = REPOSITORY / folder / "README.md"
    if not readme.is_file():
        title = folder.replace("_", " ").capitalize()
        return f"# {title}\n\nDescribed in `{folder}/README.md` of the repository.\n"
    # links to files beside it lead nowhere in the site
    return re.sub(r"\[(`[^`]+`)\]\((?!http)[^)]+\)", r"\1", readme.read_text("utf-8"))


def _api_page() -> Iterator[str]:
    import rsa_face
    from rsa_face import figures

    names = [name for name in dir(rsa_face) if callable(getattr(rsa_face, name))]
    yield from ("# API", "", "What `import rsa_face as rf` offers.", "", "```{eval-rst}", ".. autosummary::")
    yield from ("   :toctree: generated", "", *(f"   rsa_face.{name}" for name in names), "```", "")
    more = [name for name in dir(figures) if name.startswith("plot_") and name not in names]
    yield from ("## More figures", "", "In `rf.figures`.", "", "```{eval-rst}", ".. autosummary::")
    yield from ("   :toctree: generated", "", *(f"   rsa_face.figures.{name}" for name in more), "```")


def _command_line_page() -> Iterator[str]:
    from rsa_face.cli import app

    yield "# Command line"
    yield from (
        "",
        "Exit code 0 is done, 1 failed at run time, 2 the request was wrong, 130 interrupted. `--debug`, after any "
        "command, shows where an error arose.",
        "",
    )
    yield from _commands(typer.main.get_command(app), "rsa-face", 2)


def _commands(command: Any, name: str, depth: int) -> Iterator[str]:
    """Describe a command, or each command of a group."""
    if hasattr(command, "commands"):
        for each, child in command.commands.items():
            yield from _commands(child, f"{name} {each}", depth)
        return
    yield from (f"{'#' * depth} `{name}`", "", inspect.cleandoc(command.help or ""), "")
    for parameter in command.params:
        described = getattr(parameter, "help", None)
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
        flags = flags if flags.startswith("`-") else f"`{parameter.name.upper()}`"
        yield f"- {flags}: {described or ''}"
    yield ""


def _settings_page() -> Iterator[str]:
    from rsa_face.study.config import Study

    yield from ("# Study file, key by key", "", "The sections are the settings that the functions take as well.", "")
    yield from _section(Study, "")


def _section(model: Any, path: str) -> Iterator[str]:
    nested: list[tuple[Any, str]] = []
    yield from ("| key | type | default |", "|---|---|---|")
    for name, field in model.model_fields.items():
        key = str(field.alias or name)
        inner = _model_in(field.annotation)
        if inner is not None:
            nested.append((inner, f"{path}{key}"))
        default = "required" if field.is_required() else _plain(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {_type_name(field.annotation)} | {default} |"
    yield ""
    for inner, where in nested:
        about = inspect.cleandoc(inner.__doc__ or "").split("\n\n")[0]
        yield from (f"## `{where}`", "", about, "")
        yield from _section(inner, f"{where}.")


def _model_in(annotation: Any) -> Any:
    if inspect.isclass(annotation) and hasattr(annotation, "model_fields"):
        return annotation
    return next((inner for each in get_args(annotation) if (inner := _model_in(each)) is not None), None)


def _type_name(annotation: Any) -> str:
    """Return a type in a reader's words: `one of cpu, cuda`, `list of int`, `section`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if _model_in(annotation) is annotation:
        return "a section"
    if origin is Annotated:
        return _type_name(parts[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type_name(part) for part in parts if part is not type(None)))
    if origin in (tuple, list):
        return f"list of {_type_name(parts[0])}"
    if origin in (dict, Mapping):
        return f"{_type_name(parts[0])}: {_type_name(parts[1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(annotation, "any value")


def _plain(value: Any) -> str:
    if value in (None, (), {}) or hasattr(value, "model_dump"):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"

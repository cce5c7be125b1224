"""The notebooks are kept without outputs and hold no logic of their own."""

import ast
import json
from pathlib import Path

import pytest

import rsa_face

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If)


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]


def test_there_are_eight_in_order():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, 9)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
    kept = [
        cell for cell in read(path) if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])
    ]
    assert kept == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_calls_the_package_and_holds_no_logic(path):
    code = "\n".join("".join(cell["source"]) for cell in read(path) if cell["cell_type"] == "code")
    tree = ast.parse(code)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, LOGIC)] == []
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    used = {node.attr for node in names if node.value.id == "rf"}
    assert used <= set(rsa_face.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_says_what_it_is_for(path):
    first = read(path)[0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")

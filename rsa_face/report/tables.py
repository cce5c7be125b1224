"""Tables of the report: numbers as text for reading, and as they are for sorting and export."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.figures.agreement import agreement_table, correlation_table
from rsa_face.figures.folder import StudyFolder
from rsa_face.figures.layers import layers_table
from rsa_face.figures.palette import network_label

_MOST_ROWS = 5000


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text : str
        What is read.
    value : str
        What is sorted by and exported.
    """

    text: str
    value: str


@dataclass(frozen=True)
class Table:
    """One table.

    Parameters
    ----------
    name, title, note : str
        For files, for readers, and what is left out.
    columns : tuple of str
        Headings.
    numeric : tuple of bool
        Which columns hold numbers.
    rows : tuple of tuple of Cell
        The body.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables_of(study: StudyFolder) -> list[Table]:
    """Return the tables of a study: its layers, and every other result as it is.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    list of Table
        The layers first.
    """
    tables = []
    if study.result is not None:
        frame = layers_table(study.result, partial=study.extras.get("partial"))
        frame["network"] = [network_label(str(name)) for name in frame["network"]]
        tables.append(table_of(frame, name="layers", title="Layers"))
    for name, dataset in study.extras.items():
        if name.startswith("saliency_maps"):
            continue  # a row for each pixel is no table
        if name.startswith("saliency_gate"):
            dataset = dataset.drop_vars("gate", errors="ignore")  # nor is one for each face and channel
        if name == "agreement":
            title = "Do they agree? Geometry, choices and saliency of each network, and the rank each gives"
            tables.append(table_of(agreement_table(dataset), name=name, title=title))
            title = "Do they agree? Rank correlations across networks"
            tables.append(table_of(correlation_table(dataset), name=f"{name}-ranks", title=title))
            continue
        tables += [
            table_of(
                frame,
                name=f"{name}-{'-'.join(dims)}",
                title=f"{name.replace('_', ' ').capitalize()}: {' by '.join(dims)}",
            )
            for dims, frame in frames_of(dataset)
        ]
    return tables


def frames_of(dataset: xr.Dataset) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    """Return a result's variables as tables, those along the same dimensions together, without draws.

    Parameters
    ----------
    dataset : Dataset
        Any result. Not changed.

    Returns
    -------
    list of (tuple of str, DataFrame)
        The dimensions, and one row for each of their combinations.
    """
    families: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        dims = tuple(sorted(str(dim) for dim in variable.dims))
        if dims and "draw" not in dims and "shuffle" not in dims and variable.size <= 50 * _MOST_ROWS:
            families.setdefault(tuple(dim for dim in dims if dim not in ("bound", "limit")), []).append(str(name))
    found = []
    for dims, names in families.items():
        if not dims:
            continue
        columns: dict[str, xr.DataArray] = {}
        for name in names:
            ends = next((dim for dim in ("bound", "limit") if dim in dataset[name].dims), None)
            if ends is None:
                columns[name] = dataset[name]
            else:
                columns |= {f"{name} {end}": dataset[name].sel({ends: end}, drop=True) for end in ("lower", "upper")}
        kept = xr.Dataset(
            {name: column.drop_vars(["bound", "limit"], errors="ignore") for name, column in columns.items()}
        )
        found.append((dims, kept.to_dataframe().reset_index()))
    return found


def table_of(frame: pd.DataFrame, *, name: str, title: str) -> Table:
    """Return a table ready to be shown.

    Parameters
    ----------
    frame : DataFrame
        Its numbers. Not changed.
    name, title : str
        For files, and for readers.

    Returns
    -------
    Table
        At most 5,000 rows; what is left out is said.
    """
    note = f"The first {_MOST_ROWS} of {len(frame)} rows." if len(frame) > _MOST_ROWS else ""
    frame = frame.head(_MOST_ROWS)
    numeric = tuple(
        bool(pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]))
        for name in frame
    )
    columns = tuple(str(column).replace("_", " ") for column in frame.columns)
    rows = tuple(tuple(_cell(value, number) for value, number in zip(row, numeric, strict=True))
                 for row in frame.itertuples(index=False, name=None))  # fmt: skip
    return Table(name, title, note, columns, numeric, rows)


def _cell(value: object, number: bool) -> Cell:
    if not number:
        return Cell(str(value), str(value))
    if value is None or not np.isfinite(float(value)):  # type: ignore[arg-type] # the column is numeric
        return Cell("–", "")
    exact = float(value)  # type: ignore[arg-type] # the column is numeric
    short = (
        f"{exact:.0f}"
        if exact == round(exact) and abs(exact) < 1e6
        else f"{exact:.3g}"
        if abs(exact) < 0.01
        else f"{exact:.3f}"
    )
    return Cell(short.replace("-", "−", 1) if short.startswith("-") else short, repr(exact))

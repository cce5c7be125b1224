"""Tables of the report: numbers as text for reading, and as they are for sorting and export."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.figures.agreement import agreement_table, correlation_table, in_words
from rsa_face.figures.layers import layers_table
from rsa_face.figures.palette import in_order, network_label
from rsa_face.report.narrate import listed
from rsa_face.schema import NETWORK
from rsa_face.study.folder import StudyFolder

_MOST_ROWS = 5000
_MANY_ROWS = 1000
_GATE = "saliency_gate_"
_FORMATS = {"whole": ".0f", "small": ".5f"}
_DIMS = {"rdm": "RDM", "curve_level": "level of the curve"}
_TITLES = {
    "localization": "Which layer",
    "psychometric": "Choices of people",
    "psychometric_networks": "Choices of networks",
    "psychometric_likeness": "How alike the choices are",
    "saliency": "Saliency",
    "saliency_layers": "Saliency of each layer",
    "training": "Accuracy of the networks",
}
_MAIN = {
    "network": "network",
    "layer": "layer",
    "depth": "depth",
    "similarity": "similarity",
    "similarity_lower": "lower",
    "similarity_upper": "upper",
    "p_above_zero_corrected": "p above 0",
    "p_above_zero": "p above 0, uncorrected",
    "p_below_ceiling_corrected": "p below ceiling",
    "p_below_ceiling": "p below ceiling, uncorrected",
    "similarity_partial": "similarity, controls partialled out",
    "participants": "n",
}


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


def tables_of(study: StudyFolder) -> tuple[list[Table], list[str]]:
    """Return the tables of a study: its layers, and every other result as it is.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    list of Table
        The layers first.
    list of str
        A sentence for each table that is too long for a page, which names the file that holds it.
    """
    tables = [] if study.result is None else _tables_of_layers(study, study.result)
    left_out = []
    for name, dataset in study.extras.items():
        if name == "agreement" or name.startswith("saliency_maps"):
            continue  # the first has a section of its own; a row for each pixel is no table
        for dims, frame in frames_of(dataset):
            title = _title(name, dims, dataset)
            if NETWORK in frame:
                frame[NETWORK] = [network_label(str(one)) for one in frame[NETWORK]]
            if "target" in frame:
                frame["target"] = [str(one).replace("_", " ") for one in frame["target"]]
            if len(frame) > _MANY_ROWS:
                left_out.append(f"{title}: {len(frame)} rows, in {name}.nc.")
            else:
                tables.append(table_of(frame, name=f"{name}-{'-'.join(dims)}", title=title))
    return tables, left_out


def _tables_of_layers(study: StudyFolder, result: xr.Dataset) -> list[Table]:
    partial = study.extras.get("partial")
    if partial is None and "partial_similarity" in result:
        partial = xr.Dataset({"similarity": result["partial_similarity"]})
    frame = layers_table(result, partial=partial)
    frame["network"] = [network_label(str(name)) for name in frame["network"]]
    main = [name for name in _MAIN if name in frame and f"{name}_corrected" not in frame]
    tables = [table_of(frame[main].rename(columns=_MAIN), name="layers", title="Layers")]
    if len(frame.columns) > len(main):
        tables.append(table_of(frame, name="layers-all-tests", title="Layers, every test"))
    return tables


def agreement_tables(study: StudyFolder) -> list[Table]:
    """Return how the networks rank by each measure of likeness to people, and how far the ranks agree.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    list of Table
        None where the study relates no measures.
    """
    agreement = study.extras.get("agreement")
    if agreement is None or not {"value", "rank", "rank_correlation"} <= set(agreement.data_vars):
        return []
    agreement = agreement.sel(network=in_order(map(str, agreement["network"].values)))
    each, pairs = agreement_table(agreement), correlation_table(agreement)
    each["network"] = [network_label(str(name)) for name in each["network"]]
    words = {name: in_words(name, agreement) for name in agreement["quantity"].values.astype(str)}
    words |= {f"{name}_rank": f"rank by {said}" for name, said in words.items()}
    each = each.rename(columns={**words, "peak_layer": "best layer", "at_layer": "other layer"})
    pairs[["quantity", "quantity_other"]] = pairs[["quantity", "quantity_other"]].replace(words)
    pairs = pairs.rename(columns={"quantity": "measure", "quantity_other": "other measure",
                                  "rank_correlation": "rank correlation"})  # fmt: skip
    title = "Networks by each measure (rank 1: most human-like)"
    return [
        table_of(each, name="agreement-networks", title=title),
        table_of(pairs, name="agreement-measures", title="How far the measures’ ranks agree"),
    ]


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
    forms = [_form(frame[name], number) for name, number in zip(frame, numeric, strict=True)]
    rows = tuple(tuple(_cell(value, form) for value, form in zip(row, forms, strict=True))
                 for row in frame.itertuples(index=False, name=None))  # fmt: skip
    return Table(name, title, note, columns, numeric, rows)


def _title(name: str, dims: tuple[str, ...], dataset: xr.Dataset) -> str:
    """Return what a table holds, in words, and what a row of it is."""
    title = _TITLES.get(name, name.replace("_", " ").capitalize())
    if name.startswith(_GATE):
        title = f"Gate of {network_label(name.removeprefix(_GATE))}"
    if {"network", "baseline"} <= set(dataset.attrs) and name.startswith("contrast"):
        title = " minus ".join(network_label(str(dataset.attrs[end])) for end in ("network", "baseline"))
    return f"{title}, by {listed([_DIMS.get(dim, dim.replace('_', ' ')) for dim in dims])}"


def _form(column: pd.Series, number: bool) -> str:
    """Return how a column is written: all its numbers alike, so that they can be compared down the page."""
    if not number:
        return "text"
    words = str(column.name).replace("_", " ").split()
    if words and words[0] == "p":
        return "p"
    known = column[np.isfinite(column.astype(float))].astype(float)
    if (known == known.round()).all() and (known.abs() < 1e6).all():
        return "whole"
    return "small" if not known.empty and known.abs().max() < 0.01 else "number"


def _cell(value: object, form: str) -> Cell:
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", str(bool(value)))
    if form == "text":
        return Cell(str(value), str(value))
    if value is None or not np.isfinite(float(value)):  # type: ignore[arg-type] # the column is numeric
        return Cell("–", "")
    exact = float(value)  # type: ignore[arg-type] # the column is numeric
    if form == "p" and exact < 0.001:
        return Cell("< 0.001", repr(exact))
    short = f"{exact:{_FORMATS.get(form, '.3f')}}"
    return Cell(short.replace("-", "−", 1) if short.startswith("-") else short, repr(exact))

"""Human RDMs written so that they come back whole: netCDF, rsatoolbox's HDF5, and CSV."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_beside
from rsa_face.human.judgements import triangles
from rsa_face.human.rdm_files import ATTRS_REMARK
from rsa_face.provenance import save
from rsa_face.rdms.toolbox import to_rsatoolbox
from rsa_face.schema import PARTICIPANT, STIMULUS_I, check_rdms, must_be_known


def write_human(human: xr.DataArray, path: str | Path) -> Path:
    """Write human RDMs; ``read_human(path, kind="rdm")`` gives the same array back.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        As `read_human` returns it. Not changed.
    path : str or Path
        Ends in .nc (netCDF), .h5 (rsatoolbox's HDF5, `coverage` among its descriptors) or .csv (a row for each
        participant and pair, under a remark with what else is known).

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If the ending is another, or the RDMs are parted by a factor: write each level by itself.
    """
    path = Path(path)
    must_be_known(path.suffix.lower(), _WRITERS, "ending of a file of human RDMs")
    check_rdms(human, along=PARTICIPANT, name="Human RDMs")
    return _WRITERS[path.suffix.lower()](human, path)


def _write_hdf5(human: xr.DataArray, path: Path) -> Path:
    rdms = to_rsatoolbox(human)
    if "coverage" in human.coords:
        rdms.rdm_descriptors["coverage"] = triangles(human["coverage"].values)
    for described in (rdms.rdm_descriptors, rdms.pattern_descriptors):  # rsatoolbox itself writes ASCII only
        described.update({name: _as_utf8(value) for name, value in described.items()})
    rdms.descriptors["simulated"] = bool(human.attrs.get("simulated", False))
    with write_beside(path) as beside:
        rdms.save(str(beside), file_type="hdf5")
    return path


def _as_utf8(values: Any) -> Any:
    array = np.asarray(values)
    return np.char.encode(array.astype(str), "utf-8") if array.dtype.kind in "UO" else values


def _write_csv(human: xr.DataArray, path: Path) -> Path:
    ids, people = ([str(value) for value in human[dim].values] for dim in (STIMULUS_I, PARTICIPANT))
    i, j = np.triu_indices(len(ids), 1)
    names = np.array(ids, dtype=object)
    columns: dict[str, Any] = {
        PARTICIPANT: np.repeat(np.array(people, dtype=object), len(i)),
        "stimulus_a": np.tile(names[i], len(people)),
        "stimulus_b": np.tile(names[j], len(people)),
        "dissimilarity": triangles(human.values).ravel(),
    }
    if "coverage" in human.coords:
        columns["coverage"] = triangles(human["coverage"].values).ravel()
    for name in ("n_trials", "response_bias"):
        if name in human.coords:
            columns[name] = np.repeat(human[name].values, len(i))
    known = (PARTICIPANT, "n_trials", "response_bias")
    coords = {
        str(name): value.values.tolist()
        for name, value in human.coords.items()
        if value.dims == (PARTICIPANT,) and name not in known
    }
    remark = {**human.attrs, "stimuli": ids, "participants": people, "coords": coords}
    with write_beside(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {ATTRS_REMARK}{json.dumps(remark, default=str)}\n")
        pd.DataFrame(columns).to_csv(file, index=False, lineterminator="\n")
    return path


_WRITERS: dict[str, Callable[[xr.DataArray, Path], Path]] = {".nc": save, ".h5": _write_hdf5, ".csv": _write_csv}

"""Files that mean harm: code in pickles, bombs, shapes that lie, paths and links that lead out of the folder."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

BILLION = 10**5


class Payload:
    """Runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.mark,))


def pickled(mark: Path, *, how: str) -> bytes:
    """Return a checkpoint with code in it, in one of the ways that torch, numpy and pickle write."""
    file = io.BytesIO()
    held = {"state_dict": {"features.0.weight": torch.ones(1), "code": Payload(mark)}}
    if how == "plain":
        return pickle.dumps(held)
    if how in ("zip", "legacy"):
        torch.save(held, file, _use_new_zipfile_serialization=how == "zip")
    elif how == "npy":
        np.save(file, np.array([Payload(mark)], dtype=object), allow_pickle=True)
    else:
        np.savez(file, rdms=np.array([Payload(mark)], dtype=object))
    return file.getvalue()


def png(columns: int, rows: int) -> bytes:
    """Return a PNG that says it is so large, and has next to nothing in it."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 100)) + part(b"IEND", b"")
    )


def bmp(columns: int, rows: int) -> bytes:
    """Return a BMP that says it is so large."""
    header = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def postscript(mark: Path) -> bytes:
    """Return an image that another program would have to run."""
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({mark}) (w) file closefile\nshowpage\n".encode()


def hdf5(fill: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file.getvalue()


def huge_hdf5(name: str) -> bytes:
    """Return an HDF5 file of a few kilobytes with an array of 80 gigabytes, never written."""
    return hdf5(
        lambda file: file.create_dataset(name, shape=(BILLION, BILLION), dtype="f8", chunks=(64, 64)) and None
    )


def linked_hdf5(name: str, secret: Path) -> bytes:
    """Return an HDF5 file whose array lies in another file."""

    def fill(file: h5py.File) -> None:
        file[name] = h5py.ExternalLink(str(secret), "/secret")

    return hdf5(fill)


def circular_hdf5() -> bytes:
    """Return an HDF5 file with a group that holds itself."""

    def fill(file: h5py.File) -> None:
        group = file.create_group("rdm_descriptors")
        group["again"] = group
        file["dissimilarities"] = np.zeros(3)

    return hdf5(fill)


def narrow_hdf5(megabytes: int) -> bytes:
    """Return an HDF5 file of a few kilobytes with an array of bytes, never written, that are read as float64."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", shape=(megabytes * 2**20,), dtype="i1", chunks=(1024,)).attrs["scale_factor"] = 0.5
        file["x"].make_scale("x")

    return hdf5(fill)


def narrow_npz(megabytes: int) -> bytes:
    """Return a numpy file with an array of bytes, which RDMs are not but may be given as."""
    file = io.BytesIO()
    np.savez_compressed(file, rdms=np.zeros(megabytes * 2**20, dtype=np.int8))
    return file.getvalue()


def npz_bomb(megabytes: int) -> bytes:
    """Return a numpy file of some megabytes that unpacks to far more of zeros."""
    header = io.BytesIO()
    shape = (megabytes * 2**17,)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("rdms.npy", "w", force_zip64=True) as part,
    ):
        part.write(header.getvalue())
        for _ in range(megabytes):
            part.write(b"\0" * 2**20)
    return file.getvalue()


def mat_bomb(megabytes: int) -> bytes:
    """Return a Matlab file of some megabytes whose one variable unpacks to far more."""
    packer = zlib.compressobj(9)
    size = megabytes * 2**20
    head = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, 1, size // 8)
    head += struct.pack("<II", 1, 4) + b"rdms\0\0\0\0" + struct.pack("<II", 9, size - 1)
    element = packer.compress(struct.pack("<II", 14, (len(head) + size) % 2**32) + head)
    for _ in range(megabytes):
        element += packer.compress(b"\0" * 2**20)
    element += packer.flush()
    body = struct.pack("<II", 15, len(element)) + element
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM") + body


def torch_zip_bomb(megabytes: int) -> bytes:
    """Return a checkpoint of some megabytes whose one tensor unpacks to far more."""
    whole = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(4)}, whole)
    file = io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for part in old.infolist():
            if "/data/" not in part.filename:
                new.writestr(part.filename, old.read(part))
                continue
            with new.open(part.filename, "w", force_zip64=True) as opened:
                for _ in range(megabytes):
                    opened.write(b"\0" * 2**20)
    return file.getvalue()


def stretched_tensor() -> bytes:
    """Return a checkpoint of one number seen as a matrix of forty gigabytes."""
    file = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(1).as_strided((BILLION, BILLION), (0, 0))}, file)
    return file.getvalue()


def many(header: str, row: str, number: int) -> str:
    """Return a table of so many rows, each with names of its own."""
    return "\n".join([header, *(row.replace("#", str(place)) for place in range(number))])


def many_placed(number: int) -> str:
    """Return a Meadows file with so many stimuli that one trial shows."""
    names = [str(place) for place in range(number)]
    placed = [{"id": name, "x": 0.1, "y": 0.2} for name in names[:2]]
    stimuli = [{"id": name, "name": name} for name in names]
    task = {"task": {"task_type": "multiarrange"}, "stimuli": stimuli, "trials": [{"positions": placed}], "rdm": []}
    return json.dumps(task)


def laughs() -> str:
    """Return a study file whose aliases make a billion values."""
    lines = [
        "name: laughs",
        "stimuli: {table: stimuli.csv}",
        "networks: [{name: alexnet}]",
        "output: out",
        "a0: &a0 [x, x]",
    ]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)

"""Files that mean harm: code in pickles, bombs, shapes that lie, paths and links that lead out of the folder."""

import io
import json
import pickle
import re
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


def endless_hdf5() -> bytes:
    """Return an HDF5 file with a heap of texts of which one says that the next lies in its own place."""

    def fill(file: h5py.File) -> None:
        file.attrs["first"], file.attrs["second"] = "first text", "second text"

    content = bytearray(hdf5(fill))
    place = content.index(b"second text") - 16
    content[place : place + 2] = bytes(2)
    content[place + 8 : place + 16] = bytes(8)
    return bytes(content)


def tree_in_itself_hdf5(kind: int) -> bytes:
    """Return an HDF5 file with a B-tree (0: of a group, 1: of an array's chunks) whose first child is itself."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=np.arange(600.0), chunks=(10,))

    content = bytearray(hdf5(fill))
    place = content.index(b"TREE" + bytes([kind]))
    key = (8, 24)[kind]
    content[place + 5] = 1
    content[place + 24 + key : place + 32 + key] = place.to_bytes(8, "little")
    return bytes(content)


def shared_names_hdf5() -> bytes:
    """Return an HDF5 file with two groups that say their names, so many that they lie apart, lie in one place."""

    def fill(file: h5py.File) -> None:
        for name in ("one", "other"):
            group = file.create_group(name)
            for place in range(20):
                group[f"an array with a name {place}"] = 1.0

    content = bytearray(hdf5(fill))
    _, one, other = (found.start() for found in re.finditer(b"HEAP", content))
    content[other + 24 : other + 32] = content[one + 24 : one + 32]
    return bytes(content)


def long_text_hdf5(length: int) -> bytes:
    """Return an HDF5 file with a text of which it says that it is so long."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=["xyz"], dtype=h5py.string_dtype()).make_scale("x")

    content = bytearray(hdf5(fill))
    heap = content.index(b"GCOL").to_bytes(8, "little")
    place = content.index((3).to_bytes(4, "little") + heap)
    content[place : place + 4] = length.to_bytes(4, "little")
    return bytes(content)


def edited_hdf5(seed: int) -> bytes:
    """Return a whole HDF5 file in which much was made and deleted: what is left of that lies about in it."""
    rng = np.random.default_rng(seed)
    file = io.BytesIO()
    groups = ["/"]
    for session in range(6):
        with h5py.File(file, "a") as opened:
            for place in range(40):
                there = [name for name in groups if name in opened]
                parent = opened[str(rng.choice(there))]
                name = f"{'long' * rng.integers(9)} {session} {place}"
                match rng.integers(5):
                    case 0:
                        groups.append(parent.create_group(name).name)
                    case 1:
                        parent[name] = ["text" * rng.integers(200)] * rng.integers(1, 100)
                    case 2:
                        parent.create_dataset(
                            name, data=rng.random(rng.integers(1, 500)), chunks=(2,), maxshape=(None,)
                        )
                    case _:
                        inside = list(parent)
                        if inside:
                            del parent[str(rng.choice(inside))]
            opened["dissimilarities"] = np.arange(3.0)
            if session < 5:
                del opened["dissimilarities"]
    return file.getvalue()


def narrow_hdf5(megabytes: int) -> bytes:
    """Return an HDF5 file of a few kilobytes with an array of bytes, never written, that are read as float64."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", shape=(megabytes * 2**20,), dtype="i1", chunks=(1024,)).attrs["scale_factor"] = 0.5
        file["x"].make_scale("x")

    return hdf5(fill)


def wide_texts_hdf5(entries: int, length: int) -> bytes:
    """Return an HDF5 file with so many texts, all but the first of one letter: in an array all are as wide as it."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=["x" * length, *"y" * (entries - 1)], dtype=h5py.string_dtype())
        file["x"].make_scale("x")

    return hdf5(fill)


def shared_text_hdf5(entries: int, length: int) -> bytes:
    """Return an HDF5 file with so many texts that all lie in the same place of it."""
    whole = io.BytesIO(wide_texts_hdf5(entries, length))
    with h5py.File(whole) as file:
        start = file["x"].id.get_offset()
    content = bytearray(whole.getvalue())
    content[start : start + 16 * entries] = content[start : start + 16] * entries
    return bytes(content)


def texts_in_attr_hdf5(entries: int, length: int) -> bytes:
    """Return an HDF5 file with a text so long, and so many in an attribute: where they lie is not known unread."""

    def fill(file: h5py.File) -> None:
        file.attrs.create("names", ["y"] * entries, dtype=h5py.string_dtype())
        file["x"] = np.full(length, ord("x"), dtype=np.uint8)

    return hdf5(fill)


def shared_cell_hdf5(entries: int, length: int) -> bytes:
    """Return a Matlab 7.3 file with so many cells that all lie in the same place of it."""

    def fill(file: h5py.File) -> None:
        held = file.create_group("#refs#").create_dataset("a", data=np.full(length, ord("x"), dtype=np.uint16))
        file.create_dataset("stimuli", data=[held.ref] * entries, dtype=h5py.ref_dtype)

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


def mat(
    shape: tuple[int, int], *, kind: int = 6, data: bytes = b"", name: bytes = b"rdms", packed: bool = False
) -> bytes:
    """Return a Matlab file with one variable of a stated shape, whatever its data."""
    flags = struct.pack("<IIII", 6, 8, kind, 0)
    dims = struct.pack("<IIii", 5, 8, *shape)
    named = struct.pack("<II", 1, len(name)) + name.ljust(8, b"\0")
    values = struct.pack("<II", 9, len(data)) + data
    body = flags + dims + named + values
    element = struct.pack("<II", 14, len(body)) + body
    if packed:
        element = zlib.compress(element, 1)
        element = struct.pack("<II", 15, len(element)) + element
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM") + element


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

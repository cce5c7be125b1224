"""Files are hashed as others hash them, and arrays written so that others can read them."""

import tracemalloc

import h5py
import numpy as np
import pytest
import xarray as xr

from rsa_face.provenance import hash_file, load, save


@pytest.mark.parametrize(
    ("kind", "of_abc"),  # of sha256: FIPS 180-2, appendix B
    [("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
     ("blake3", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85")],
)  # fmt: skip
def test_files_are_hashed_as_others_do_piece_by_piece(tmp_path, kind, of_abc):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc", kind) == of_abc
    with (tmp_path / "large").open("wb") as large:
        large.truncate(300 * 2**20)
    tracemalloc.start()
    assert hash_file(tmp_path / "large", kind) != of_abc
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["dissimilarity", None, "rdm", "stimulus", "two words", "a/b", "values", "class"])
def test_an_array_comes_back_with_its_name(tmp_path, name):
    array = xr.DataArray([[1.0, 2.0]], {"stimulus": ["a", "b"]}, ("rdm", "stimulus"), name, {"simulated": True})
    xr.testing.assert_identical(load(save(array, tmp_path / "array.nc")), array)


def test_other_languages_find_an_array_under_its_own_name(tmp_path):
    rdms = xr.DataArray(np.eye(3)[None], {"rdm": ["net/fc"]}, ("rdm", "stimulus_i", "stimulus_j"), "dissimilarity")
    with h5py.File(save(rdms, tmp_path / "rdms.nc")) as file:  # netCDF 4 is HDF5 with scales for its dimensions
        variable = file["dissimilarity"]
        np.testing.assert_array_equal(variable, rdms)
        assert [dim[0].name for dim in variable.dims] == ["/rdm", "/stimulus_i", "/stimulus_j"]
        assert not [key for key in (*file, *file.attrs) if key.startswith("__")]


def test_an_array_of_version_0_1_is_read(tmp_path):
    array = xr.DataArray([1.0, 2.0], {"rdm": ["a", "b"]}, ("rdm",), "dissimilarity")
    former = array.to_dataset(name="__array__").assign_attrs(__array__=1, __name__="dissimilarity")
    former.to_netcdf(tmp_path / "former.nc", engine="h5netcdf")
    xr.testing.assert_identical(load(tmp_path / "former.nc"), array)

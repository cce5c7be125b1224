"""Files are hashed as others hash them, and not read whole for it."""

import tracemalloc

import pytest

from rsa_face.provenance import hash_file


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

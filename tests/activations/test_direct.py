"""What goes to the disk past the page cache is what would have gone through it."""

import errno
import os

import numpy as np
import pytest

from rsa_face.activations import direct
from rsa_face.activations.direct import ALIGNMENT, DirectFile, padded


def pieces(*sizes: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]


def filled_up(parts: list[np.ndarray]) -> bytes:
    content = np.concatenate(parts).tobytes()
    return content + bytes(padded(len(content)) - len(content))


def append(file, batches: list[list[np.ndarray]]) -> list[tuple[int, int]]:
    with DirectFile(file) as opened:
        return [(opened.size, opened.append(batch)) for batch in batches]


def test_pieces_lie_one_behind_the_other_and_are_filled_up(tmp_path):
    file, batches = tmp_path / "file", [pieces(5, 3 * 2**20 + 1, 4), pieces(ALIGNMENT), pieces(7)]
    places = append(file, batches)
    assert [length for _, length in places] == [3 * 2**20 + 10, ALIGNMENT, 7]
    content = file.read_bytes()
    assert content == b"".join(map(filled_up, batches))
    for (offset, length), batch in zip(places, batches, strict=True):
        assert content[offset : offset + length] == np.concatenate(batch).tobytes()


def test_a_file_is_continued_at_its_end_wherever_that_is(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"off the alignment")
    (place,) = append(file, [pieces(2**20 + 9)])
    assert place == (17, 2**20 + 9)
    assert file.read_bytes() == b"off the alignment" + filled_up(pieces(2**20 + 9))


@pytest.mark.parametrize("refused", ["open", "write"])
def test_a_file_system_that_cannot_write_directly_gets_the_same_file(tmp_path, monkeypatch, refused):
    append(tmp_path / "directly", [pieces(2**21), pieces(3)])
    opened, written, direct_ones = os.open, os.write, set()

    def open_(file, flags, mode):
        if refused == "open" and flags & direct._DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        descriptor = opened(file, flags, mode)
        (direct_ones.add if flags & direct._DIRECT else direct_ones.discard)(descriptor)
        return descriptor

    def write(descriptor, content):
        if descriptor in direct_ones:
            raise OSError(errno.EINVAL, "Invalid argument")
        return written(descriptor, content)

    monkeypatch.setattr(direct.os, "open", open_)
    monkeypatch.setattr(direct.os, "write", write)
    append(tmp_path / "through", [pieces(2**21), pieces(3)])
    assert (tmp_path / "through").read_bytes() == (tmp_path / "directly").read_bytes()


def test_an_error_of_the_disk_comes_out(tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(direct.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        append(tmp_path / "file", [pieces(3)])

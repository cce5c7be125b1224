"""A file is written whole or not at all; where it cannot be, the error names it, and nothing is left beside it."""

import errno
import os

import pytest

from rsa_face.safety import hold, holder_of, remove_drafts, size_of, write_beside


def test_a_file_that_is_not_written_to_the_end_leaves_the_old_one(tmp_path):
    file = tmp_path / "layers.csv"
    file.write_text("old")

    def stop() -> None:
        with write_beside(file) as beside:
            beside.write_text("new")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, r"No room to write .*layers\.csv.*Free some"), (errno.EACCES, r"Cannot write to .*layers\.csv")],
)
def test_what_could_not_be_written_is_named(tmp_path, number, said):
    with pytest.raises(OSError, match=said), write_beside(tmp_path / "layers.csv"):
        raise OSError(number, os.strerror(number))


def test_old_drafts_are_removed_and_nothing_else(tmp_path):
    drafts = [f".rsa_face-{'0a1b' * 4}-layers.nc", f"weights/.rsa_face-{'f' * 16}-vgg16.safetensors"]
    names = (*drafts, ".notes.txt", "layers-0a1b2c3d.nc", ".notes-deadbeef.txt")
    (tmp_path / "weights").mkdir()
    young = f".rsa_face-{'0' * 16}-young.nc"
    for name in (*names, young):
        (tmp_path / name).write_text("x")
    for name in names:
        os.utime(tmp_path / name, (0, 0))
    remove_drafts(tmp_path)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {".notes.txt", "layers-0a1b2c3d.nc", ".notes-deadbeef.txt", young}
    assert size_of(tmp_path) == 4


def test_a_place_is_held_by_one_at_a_time_and_says_by_whom(tmp_path):
    lock = tmp_path / "x" / ".lock"
    with hold(tmp_path, lock, rule="A folder is filled by one process"):
        assert holder_of(lock).startswith(f"process {os.getpid()} on ")
        with (
            pytest.raises(
                ValueError, match=rf"process {os.getpid()} on .* is writing to .*by one process\. Wait for it"
            ),
            hold(tmp_path, lock, rule="A folder is filled by one process"),
        ):
            pass
    assert holder_of(lock) == ""
    assert not lock.exists()

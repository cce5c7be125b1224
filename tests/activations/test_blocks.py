"""An unfinished file is taken up as far as it is sound: what its index says is held against what lies there."""

import struct

import numpy as np
import pytest

from rsa_face.activations.blocks import append_batch, batches_in, faults_of_block, finish_block
from rsa_face.activations.cuts import Cut

BATCHES = 3
FAR = (2**64 - 1, 2**63, 2**40, 4096 * BATCHES)


@pytest.fixture
def begun(tmp_path):
    """An unfinished file of three batches of two stimuli, each of its own values; its index; how it is cut."""
    cut = Cut(shape=(8, 300), rows=2, block=8, channels=300, dtype="float32", compressed=False)
    file = tmp_path / "c" / "0"
    for batch in range(BATCHES):
        append_batch(file, np.full((2, 300), batch, np.float32), cut)
    return file, file.with_name("0.index"), cut


def change(index, *, line, offset=None, length=None):
    lines = [list(one) for one in struct.iter_unpack("<QQ", index.read_bytes())]
    lines[line] = [lines[line][0] if offset is None else offset, lines[line][1] if length is None else length]
    index.write_bytes(b"".join(struct.pack("<QQ", *one) for one in lines))


def test_a_whole_file_is_kept(begun):
    file, _, cut = begun
    assert batches_in(file, cut) == BATCHES


@pytest.mark.parametrize("offset", [0, 4096, *FAR])
def test_a_line_that_leads_elsewhere_is_cut_off_though_a_sound_chunk_may_lie_there(begun, offset):
    file, index, cut = begun
    change(index, line=2, offset=offset)  # by one bit, the third batch would be the first's or the second's values
    assert batches_in(file, cut) == 2
    assert index.stat().st_size == 2 * 16


@pytest.mark.parametrize("length", [0, 4, *FAR])
def test_a_line_of_an_absurd_length_is_cut_off_and_takes_no_memory(begun, length):
    file, index, cut = begun
    change(index, line=1, length=length)
    assert batches_in(file, cut) == 1


@pytest.mark.parametrize("length", [4, 2**40, 2**63])
def test_an_absurd_length_in_a_finished_file_is_a_damaged_chunk(begun, length):
    file, index, cut = begun
    append_batch(file, np.full((2, 300), 3, np.float32), cut)
    change(index, line=1, length=length)
    finish_block(file, cut)
    assert faults_of_block(file, cut) == ["has a damaged chunk (batch 1, part 0)"]

"""Damaged files, ten thousand of each sort: every reader reads them or refuses them in a sentence of our own."""

import faulthandler
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rsa_face
from rsa_face.safety import MOST_BYTES
from tests.trust.damage import damaged_bytes, damaged_text
from tests.trust.readers import READERS, Files, Reader
from tests.trust.watch import most_memory, watched

OURS = str(Path(rsa_face.__file__).parent)
SHORT, LONG = 30, 10_000
LONGEST = 20  # seconds of the processor for one file
ENDLESS = 600  # seconds after which it will not come to an end; the file that did it is left where it was read
MEMORY = 4 * MOST_BYTES  # of a file that unpacks to what it may at most, in float64 and a copy of it
TYPES = (ValueError, TypeError, FileNotFoundError, OSError)


def is_ours(error: BaseException) -> bool:
    """Return whether an error was raised by a line of the package that raises, as one of the types it promises.

    What Python itself raises over such a line, as for an ``int`` of a text, is nobody's sentence.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = last.filename.startswith(OURS) and (last.line or "").startswith("raise ")
    return isinstance(error, TYPES) and ours and len(str(error).split()) > 4


def where_of(error: BaseException) -> str:
    """Return what an error is and the last line of the package that it passed through."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(OURS)]
    return (
        f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else type(error).__name__
    )


def write_whole(reader: Reader, folder: Path) -> tuple[Files, dict[str, bytes]]:
    """Write a reader's whole files; return what each may be made of, and what it is now."""
    contents = reader.make(folder)
    whole = {}
    for name, versions in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(versions[0])
        whole[name] = versions[0]
    return contents, whole


def fuzz(reader: Reader, folder: Path, *, inputs: int, fixed: bool) -> tuple[Counter[str], dict[str, str]]:
    """Damage a reader's files so many times; return how many were read and refused, and what else came out.

    What else: an error that is not ours, a program started, a file written elsewhere, memory beyond what is stated.
    """
    contents, whole = write_whole(reader, folder)
    reader.read(folder)  # what is imported late is imported now, and leaves its compiled files
    held = most_memory()
    damaged = damaged_text if reader.text else damaged_bytes
    places = st.sampled_from(sorted(contents)).flatmap(lambda name: st.tuples(st.just(name), damaged(contents[name])))
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=fixed,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(places)
    def read(place: tuple[str, bytes]) -> None:
        name, content = place
        (folder / name).write_bytes(content)
        begun = time.process_time()  # a machine may hold us
        # a library's own loop hears nothing else; standard error itself, where pytest has put another
        faulthandler.dump_traceback_later(ENDLESS, exit=True, file=sys.__stderr__)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(folder)
            counts["read"] += 1
        except Exception as error:
            counts["refused"] += 1
            if not is_ours(error):
                faults.setdefault(where_of(error), f"{error} ({name}: {content[:1500]!r})")
        faulthandler.cancel_dump_traceback_later()
        if time.process_time() - begun > LONGEST:
            faults.setdefault("slow", f"{time.process_time() - begun:.0f} s ({name}: {content[:1500]!r})")
        (folder / name).write_bytes(whole[name])

    with watched(folder) as besides:
        read()
    faults |= {f"besides reading: {done}": "" for done in besides}
    if most_memory() - held > MEMORY:
        faults["memory"] = f"{(most_memory() - held) / 2**30:.1f} GiB"
    return counts, faults


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(tmp_path, name):
    write_whole(READERS[name], tmp_path)
    READERS[name].read(tmp_path)
    assert list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # libraries leave damaged files open
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_our_own_words(tmp_path, name):
    counts, faults = fuzz(READERS[name], tmp_path, inputs=SHORT, fixed=True)
    assert not faults
    assert counts.total() >= SHORT


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_ten_thousand_damaged_files_are_read_or_refused_in_our_own_words(tmp_path, name, capsys):
    counts, faults = fuzz(READERS[name], tmp_path, inputs=LONG, fixed=False)
    with capsys.disabled():
        print(f"\n{name}: {counts.total():,} inputs, {counts['read']:,} read, {counts['refused']:,} refused, "
              f"{most_memory() / 2**30:.2f} GiB at most")  # fmt: skip
        for where, said in faults.items():
            print(f"  {where}: {said}")
    assert not faults
    assert counts.total() >= LONG

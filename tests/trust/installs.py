"""Install the package as strangers do, and tell what of it works there: a Markdown row for each thing tried.

Run as ``python -m tests.trust.installs --python python3.12 --resolution lowest --form sdist``. Everything happens in
a new folder with spaces and letters beyond ASCII in its name, and is removed afterwards. The oldest dependencies that
``pyproject.toml`` allows are found by uv, which must be installed; the newest are what pip takes. Nothing of this
checkout is imported: tests run against the installed package.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "Gesichter für 顔 "
NOBODY = 65534
INTERRUPTED = 130
QUICK = ("tests/study/test_study_file.py", "tests/study/test_record.py", "tests/study/test_small_study.py", "tests/rdms", "tests/human",
         "tests/networks", "tests/trust/test_mistakes.py")  # fmt: skip

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}}
inference: {comparison: rho-a, resample: dual, draws: 20}
output: Ergebnisse é
"""

FACES = """\
from rsa_face.human.observers import simulate_ratings
from rsa_face.stimuli.faces import draw_faces
stimuli = draw_faces(".", identities=2, levels=3, size=64)
simulate_ratings(stimuli, participants=3)[0].to_csv("ratings.csv", index=False)
"""

WITHOUT_EXTRAS = """\
import pandas
from rsa_face.cluster import connect
from rsa_face.networks.weights import find_weights
from rsa_face.psychophysics.psychometric import _psignifit
from rsa_face.stimuli.head import must_have_faces_extra
from rsa_face.training.log import write_tensorboard
asked = {
    "cluster": lambda: connect("local:1").__enter__(),
    "hf": lambda: find_weights("hf://a/b/c.pth"),
    "psignifit": _psignifit,
    "faces": must_have_faces_extra,
    "tensorboard": lambda: write_tensorboard(pandas.DataFrame(), "log"),
}
for extra, ask in asked.items():
    try:
        ask()
    except ModuleNotFoundError as error:
        assert f"pip install 'rsa-face[{extra}]'" in str(error), (extra, str(error))
    else:
        raise SystemExit(f"{extra} did not say what to install")
print(", ".join(asked))
"""


@dataclass(frozen=True)
class Install:
    """One way to install the package.

    Parameters
    ----------
    python : str
        The interpreter.
    resolution : {"lowest", "highest"}
        Which of the dependencies that are allowed.
    form : {"wheel", "sdist"}
        What is installed.
    installer : {"pip", "uv"}
        With what; uv is the quicker where several installs share packages.
    only : tuple of str
        Which steps to try after it is installed; all if empty.
    """

    python: str
    resolution: str
    form: str
    installer: str = "pip"
    only: tuple[str, ...] = ()


@dataclass
class Trial:
    """What was tried of one install, and what came of it."""

    install: Install
    folder: Path
    rows: list[tuple[str, bool, float, str]] = field(default_factory=list)

    @property
    def python(self) -> Path:
        """The interpreter of the new environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def command(self) -> Path:
        """``rsa-face`` of the new environment."""
        return self.folder / "venv" / "bin" / "rsa-face"

    def fill(self, *wanted: object) -> None:
        """Install something into the environment."""
        tool = [self.python, "-m", "pip", "install"]
        if self.install.installer == "uv":
            tool = [shutil.which("uv") or "uv", "pip", "install", "--python", self.python]
        run(*tool, "-q", *wanted, cwd=self.folder)

    def tried(self, what: str, *do: Callable[[], str]) -> bool:
        """Do something, note what came of it and how long it took, and return whether it went well."""
        start = time.perf_counter()
        try:
            said, good = " ".join(one() for one in do), True
        except Exception as error:  # whatever it is, it is told, and what follows is tried
            said, good = _last_words(error), False
        self.rows.append((what, good, time.perf_counter() - start, said))
        print(self.row(-1), flush=True)
        return good

    def row(self, place: int) -> str:
        """Return one row of the table."""
        what, good, seconds, said = self.rows[place]
        how = f"{self.install.python} | {self.install.resolution} | {self.install.form}, {self.install.installer}"
        return f"| {how} | {what} | {'yes' if good else '**no**'} | {seconds:.0f} | {said.replace('|', '/')} |"


def _last_words(error: BaseException) -> str:
    said = str(getattr(error, "output", None) or "") + str(getattr(error, "stderr", None) or "") or str(error)
    return " ".join(said.split())[-600:]


def run(*words: object, cwd: Path, limit: float = 1200, nobody: bool = False, **environment: str) -> str:
    """Run a command in a clean environment, and return the last line that it printed.

    Raises
    ------
    subprocess.CalledProcessError
        If it failed, or printed a traceback.
    """
    line, clean = _line(words, nobody=nobody), _environment(cwd) | environment
    done = subprocess.run(line, cwd=cwd, env=clean, capture_output=True, text=True, timeout=limit)
    if done.returncode or "Traceback" in done.stderr:
        raise subprocess.CalledProcessError(done.returncode, line, done.stdout, done.stderr)
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else ""


def _line(words: Iterable[object], *, nobody: bool) -> list[str]:
    lead = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if nobody else []
    return [*lead, *(str(word) for word in words)]


def _environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "LANG", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    clean = {name: value for name, value in os.environ.items() if name in kept or name.startswith(("PIP_", "UV_"))}
    return clean | {"HOME": str(home), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}


@contextmanager
def new_folder() -> Iterator[Path]:
    """Give a folder that others may read, with spaces and letters beyond ASCII in its name; remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix=FOLDER) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def build(form: str, folder: Path) -> Path:
    """Build what is installed, and return it: a source distribution, or the wheel made of it."""
    run(sys.executable, "-m", "build", "-q", "--sdist", "-o", folder / "dist", ROOT, cwd=folder)
    sdist = next((folder / "dist").glob("*.tar.gz"))
    run("tar", "-xzf", sdist, "--strip-components=1", "--one-top-level=source", cwd=folder)
    if form == "sdist":
        return sdist
    run(sys.executable, "-m", "build", "-q", "--wheel", "-o", folder / "dist", folder / "source", cwd=folder)
    return next((folder / "dist").glob("*.whl"))


def constraints(install: Install, folder: Path) -> list[str]:
    """Return what pip is told of versions: nothing for the newest, a file that uv has made for the oldest."""
    if install.resolution == "highest":
        return []
    uv = shutil.which("uv") or "uv"
    run(uv, "pip", "compile", "-q", "--no-annotate", "--python", install.python, "--resolution", "lowest-direct",
        "--extra", "test", ROOT / "pyproject.toml", "-o", folder / "oldest.txt", cwd=folder)  # fmt: skip
    return ["-c", str(folder / "oldest.txt")]


def try_install(install: Install, folder: Path) -> Trial:
    """Install the package into a new environment, and try what of it should work without extras, then its tests."""
    trial = Trial(install, folder)
    made: dict[str, object] = {}

    def fill() -> str:
        file = build(install.form, folder)
        made["pins"] = constraints(install, folder)
        run(install.python, "-m", "venv", folder / "venv", cwd=folder)
        trial.fill(*made["pins"], file)  # type: ignore[misc]
        return file.name

    if not trial.tried("install", fill):
        return trial
    steps: dict[str, Callable[[], str]] = {
        "pip check": lambda: run(trial.python, "-m", "pip", "check", cwd=folder),
        "pip-audit": lambda: _audited(trial),
        "versions": lambda: _versions(trial),
        "import": lambda: _imported(trial),
        "--help": lambda: run(trial.command, "--help", cwd=folder, COLUMNS="80") and "",
        "networks": lambda: run(trial.command, "networks", cwd=folder),
        "doctor": lambda: run(trial.command, "doctor", cwd=folder),
        "a study": lambda: _study(trial, folder / "Studie ß", nobody=False),
        "extras that are missing": lambda: run(trial.python, "-c", WITHOUT_EXTRAS, cwd=folder),
        "without write access": lambda: _as_nobody(trial),
        "tests": lambda: _tests(trial, made["pins"]),  # type: ignore[arg-type]
    }
    for name, step in steps.items():
        if not install.only or name in install.only:
            trial.tried(name, step)
    return trial


def _versions(trial: Trial) -> str:
    names = ("torch", "torchvision", "numpy", "scipy", "pandas", "xarray", "zarr", "pydantic", "typer", "matplotlib")
    code = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {names}), sep=', ')"
    return run(trial.python, "-c", code, cwd=trial.folder)


def _audited(trial: Trial) -> str:
    """Look the environment's packages up among known vulnerabilities; pip-audit fails where it finds one."""
    if find_spec("pip_audit") is None:
        return "not tried: pip-audit is not installed beside this program"
    where = next((trial.folder / "venv").glob("lib/python*/site-packages"))
    told = run(sys.executable, "-m", "pip_audit", "--path", where, "-f", "json", "--progress-spinner", "off",
               cwd=trial.folder)  # fmt: skip
    packages = json.loads(told)["dependencies"]
    looked_up = [one["name"] for one in packages if "skip_reason" not in one]
    if not looked_up:
        return f"not audited, {packages[0]['skip_reason'] if packages else 'there are no packages'}"
    return f"{len(looked_up)} of {len(packages)} packages are in the database, none with a known vulnerability"


def _imported(trial: Trial) -> str:
    said = run(trial.python, "-X", "importtime", "-W", "error", "-c", "import rsa_face; print(rsa_face.__file__)",
               cwd=trial.folder)  # fmt: skip
    if not Path(said).is_relative_to(trial.folder / "venv"):
        message = f"imported from {said}, not from the environment"
        raise ValueError(message)
    return ""


def _study(trial: Trial, folder: Path, *, nobody: bool) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(STUDY)
    if nobody:
        os.chown(folder, NOBODY, NOBODY)
    run(trial.python, "-c", FACES, cwd=folder, nobody=nobody)
    run(trial.command, "run", "study.yaml", "-q", cwd=folder, nobody=nobody)
    run(trial.command, "report", "Ergebnisse é", cwd=folder, nobody=nobody)
    return run(trial.command, "status", "Ergebnisse é", cwd=folder, nobody=nobody)


def _as_nobody(trial: Trial) -> str:
    """Use the package as another user, who can write nothing of it, and see that nothing of it was written."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "not tried: it takes root, and setpriv"
    before = _files_in(trial.folder / "venv")
    home = trial.folder / "niemand"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    for words in (["networks"], ["doctor", "--network", "alexnet"]):
        run(trial.command, *words, cwd=home, nobody=True)
    _study(trial, home / "eigene Studie", nobody=True)
    said = _begin_demo(trial, home)
    changed = before ^ _files_in(trial.folder / "venv")
    if changed:
        message = f"written into the package: {sorted(str(file) for file in changed)[:5]}"
        raise ValueError(message)
    return said


def _begin_demo(trial: Trial, home: Path) -> str:
    """Run the demo until its first stage is done, interrupt it as a person would, and return what it said last."""
    line = _line([trial.command, "run", "demo"], nobody=True)
    said: list[str] = []
    with subprocess.Popen(line, cwd=home, env=_environment(home), stderr=subprocess.PIPE, text=True) as demo:
        for words in demo.stderr or ():
            said.append(words)
            if ": done" in words:
                demo.send_signal(signal.SIGINT)
        code = demo.wait(timeout=600)
    if code != INTERRUPTED or "Traceback" in "".join(said):
        raise subprocess.CalledProcessError(code, line, "".join(said[-20:]))
    return said[-1].strip()


def _files_in(folder: Path) -> set[tuple[Path, int]]:
    return {(file, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def _tests(trial: Trial, pins: list[str]) -> str:
    """Install what tests need, and run the quick ones, beside the installed package rather than the source."""
    source = trial.folder / "source"
    shutil.rmtree(source / "rsa_face")
    wanted = f"rsa-face[test] @ {next((trial.folder / 'dist').glob('*.*')).as_uri()}"
    trial.fill(*pins, wanted)
    files = [name for name in QUICK if (source / name).exists()]
    # the oldest of what we need beside the newest of what it needs: warnings of what is to come are no faults of ours
    lax = ["-o", "filterwarnings=ignore::DeprecationWarning"] if trial.install.resolution == "lowest" else []
    return run(
        trial.python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *lax, *files, cwd=source, limit=2400
    )


def main() -> int:
    """Try what is asked for, and print the table; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", help="an interpreter; this one unless given")
    parser.add_argument("--resolution", action="append", choices=("lowest", "highest"))
    parser.add_argument("--form", action="append", choices=("wheel", "sdist"))
    parser.add_argument("--installer", choices=("pip", "uv"), default="pip")
    parser.add_argument("--only", action="append", default=[], help="a step; all unless given")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, also by what is run
    print("| Python | dependencies | form | what | works | seconds | said |\n|---|---|---|---|---|---|---|")
    good = True
    ways = product(asked.python or [sys.executable], asked.resolution or ["highest"], asked.form or ["wheel"])
    for python, resolution, form in ways:
        with new_folder() as folder:
            trial = try_install(Install(python, resolution, form, asked.installer, tuple(asked.only)), folder)
        good &= all(row[1] for row in trial.rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Several RDMs of one person are sessions, averaged or read one by one, or are asked about: never more people."""

import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
import xarray as xr
from rsatoolbox.rdm import RDMs

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.human.judgements import split_session
from rsa_face.human.read import read_human
from rsa_face.schema import ImplausibleWarning

PEOPLE, SESSIONS, IDS = ["BE", "KO", "SN", "TI"], ["1", "2"], [f"s{k}" for k in range(6)]


@pytest.fixture
def rdms():
    """Four people, two sessions, six stimuli: each RDM differs from every other."""
    upper = np.random.default_rng(0).uniform(0.2, 1, (4, 2, 15))
    squares = np.zeros((4, 2, 6, 6))
    i, j = np.triu_indices(6, 1)
    squares[..., i, j] = squares[..., j, i] = upper
    return squares


def structs(rdms, names):
    """Return a struct array of RDM and name, as that of rsatoolbox's `92_brainRDMs.mat`: 1 x subjects x sessions."""
    held = np.empty((1, *rdms.shape[:-2]), dtype=[("RDM", object), ("name", object), ("color", object)])
    for place in np.ndindex(*rdms.shape[:-2]):
        held[(0, *place)] = (rdms[place], names(*place), np.zeros(3))
    return held


def brain(tmp_path, rdms, names=lambda p, s: f"hIT | {PEOPLE[p]} | Session: {s + 1}"):
    scipy.io.savemat(tmp_path / "brain.mat", {"RDMs": structs(rdms, names)})
    return tmp_path / "brain.mat"


def assert_four_people(human, rdms):
    assert human.participant.values.tolist() == PEOPLE
    np.testing.assert_allclose(human.values, rdms.mean(axis=1), atol=1e-12)
    assert human["coverage"].values[:, 0, 1].tolist() == [2] * 4
    assert human.attrs["averaged"] == "8 RDMs of 4 participants: the mean of 2 sessions each ('1', '2')"


def test_a_struct_array_of_four_people_and_two_sessions_holds_four_people(tmp_path, rdms):
    assert_four_people(read_human(brain(tmp_path, rdms), kind="rdm"), rdms)


def test_sessions_are_read_one_by_one(tmp_path, rdms):
    parts = read_human(brain(tmp_path, rdms), kind="rdm", layout={"by": "session"})
    assert parts.dims[0] == "session"
    assert parts["session"].values.tolist() == SESSIONS
    np.testing.assert_allclose(parts.values, rdms.swapaxes(0, 1))


def test_one_session_is_read_and_the_others_are_counted(tmp_path, rdms):
    human = read_human(brain(tmp_path, rdms), kind="rdm", layout={"keep": {"session": "2"}})
    np.testing.assert_allclose(human.values, rdms[:, 1])
    assert human.attrs["left_out"] == {"RDMs whose session is not 2": 4}


def test_axes_without_telling_names_are_asked_for(tmp_path, rdms):
    file = brain(tmp_path, rdms, lambda _p, _s: "RDM")
    with pytest.raises(ValueError, match=r"shape \(4, 2\).*axes=participant,session"):
        read_human(file, kind="rdm")
    human = read_human(file, kind="rdm", options={"axes": ["participant", "session"]})
    np.testing.assert_allclose(human.values, rdms.mean(axis=1), atol=1e-12)
    assert human.participant.values.tolist() == [f"participant_0{k}" for k in range(1, 5)]


def test_two_regions_of_a_person_are_asked_about(tmp_path, rdms):
    file = brain(tmp_path, rdms, lambda p, s: f"{['hIT', 'EVC'][s]} | {PEOPLE[p]}")
    with pytest.raises(ValueError, match=r"4 participants .*'EVC', 'hIT'.*keep.region=EVC"):
        read_human(file, kind="rdm")
    human = read_human(file, kind="rdm", layout={"keep": {"region": "hIT"}})
    np.testing.assert_allclose(human.values, rdms[:, 0])


def npz(path, rdms):
    np.savez(path / "r.npz", rdms=rdms, participants=PEOPLE, sessions=SESSIONS, stimuli=IDS)
    return path / "r.npz"


def npz_flat(path, rdms):
    flat = rdms.reshape(8, 6, 6)
    np.savez(path / "r.npz", rdms=flat, participants=np.repeat(PEOPLE, 2), session=SESSIONS * 4, stimuli=IDS)
    return path / "r.npz"


def npz_names(path, rdms):
    names = [f"{one}_ses-{s}" for one in PEOPLE for s in SESSIONS]
    np.savez(path / "r.npz", rdms=rdms.reshape(8, 6, 6), participants=names, stimuli=IDS)
    return path / "r.npz"


def matlab_order(path, rdms):
    scipy.io.savemat(
        path / "r.mat", {"rdms": np.moveaxis(rdms, (0, 1), (2, 3)), "subjects": PEOPLE, "sessions": [1, 2]}
    )
    return path / "r.mat"


def toolbox(path, rdms):
    described = {"subject": np.repeat(PEOPLE, 2), "session": SESSIONS * 4}
    made = RDMs(rdms.reshape(8, 6, 6), rdm_descriptors=described, pattern_descriptors={"conds": IDS})
    made.save(str(path / "r.h5"), overwrite=True)
    return path / "r.h5"


def netcdf(path, rdms):
    dims = ("participant", "session", "stimulus_i", "stimulus_j")
    coords = {"participant": PEOPLE, "session": SESSIONS, "stimulus_i": IDS, "stimulus_j": IDS}
    return rf.save(xr.DataArray(rdms, coords, dims, name="dissimilarity"), path / "r.nc")


def csv_squares(path, rdms):
    lines = ["participant,session,stimulus," + ",".join(IDS)]
    for p, s, k in np.ndindex(4, 2, 6):
        lines.append(f"{PEOPLE[p]},{s + 1},{IDS[k]}," + ",".join(map(repr, rdms[p, s, k].tolist())))
    (path / "r.csv").write_text("\n".join(lines))
    return path / "r.csv"


def csv_pairs(path, rdms):
    lines = ["participant,session,stimulus_a,stimulus_b,dissimilarity"]
    for p, s, i, j in np.ndindex(4, 2, 6, 6):
        if i < j:
            lines.append(f"{PEOPLE[p]},{s + 1},{IDS[i]},{IDS[j]},{float(rdms[p, s, i, j])!r}")
    (path / "r.csv").write_text("\n".join(lines))
    return path / "r.csv"


def one_file_each(path, rdms):
    files = []
    for p, s in np.ndindex(4, 2):
        files.append(path / f"{PEOPLE[p]}_ses-{s + 1}.npy")
        np.save(files[-1], rdms[p, s])
    return files


def one_file_a_session(path, rdms):
    for s in range(2):
        np.savez(path / f"rdms_session{s + 1}.npz", rdms=rdms[:, s], participants=PEOPLE, stimuli=IDS)
    return [path / "rdms_session1.npz", path / "rdms_session2.npz"]


FORMS = [npz, npz_flat, npz_names, matlab_order, toolbox, netcdf, csv_squares, csv_pairs, one_file_each,
         one_file_a_session]  # fmt: skip


@pytest.mark.parametrize("write", FORMS)
def test_sessions_are_sessions_in_every_format(tmp_path, rdms, write):
    assert_four_people(read_human(write(tmp_path, rdms), kind="rdm"), rdms)
    parts = read_human(write(tmp_path, rdms), kind="rdm", layout={"by": "session"})
    np.testing.assert_allclose(parts.sel(participant=PEOPLE).values, rdms.swapaxes(0, 1))


def test_an_array_of_four_dims_without_names_is_asked_about(tmp_path, rdms):
    np.save(tmp_path / "r.npy", rdms)
    with pytest.raises(ValueError, match=r"shape \(4, 2, 6, 6\).*axes=participant,session,stimulus,stimulus"):
        read_human(tmp_path / "r.npy", kind="rdm")
    axes = {"axes": ["participant", "session", "stimulus", "stimulus"]}
    np.testing.assert_allclose(
        read_human(tmp_path / "r.npy", kind="rdm", options=axes).values, rdms.mean(axis=1), atol=1e-12
    )
    i, j = np.triu_indices(6, 1)
    np.save(tmp_path / "u.npy", rdms[..., i, j])
    axes = {"axes": ["participant", "session", "pair"]}
    np.testing.assert_allclose(
        read_human(tmp_path / "u.npy", kind="rdm", options=axes).values, rdms.mean(axis=1), atol=1e-12
    )


def test_eight_rdms_with_the_names_of_four_people_are_asked_about(tmp_path, rdms):
    np.savez(tmp_path / "r.npz", rdms=rdms.reshape(8, 6, 6), participants=PEOPLE)
    with pytest.raises(ValueError, match="holds 8 RDMs and 4 participants"):
        read_human(tmp_path / "r.npz", kind="rdm")


def test_the_same_name_without_a_session_is_asked_about(tmp_path, rdms):
    np.savez(tmp_path / "r.npz", rdms=rdms.reshape(8, 6, 6), participants=np.repeat(PEOPLE, 2), stimuli=IDS)
    with pytest.raises(ValueError, match=r"4 participants .*'BE', 'KO', 'SN', 'TI'.*repeats=average.*repeats=people"):
        read_human(tmp_path / "r.npz", kind="rdm")
    mean = read_human(tmp_path / "r.npz", kind="rdm", options={"repeats": "average"})
    np.testing.assert_allclose(mean.values, rdms.mean(axis=1), atol=1e-12)
    assert mean.attrs["averaged"] == "8 RDMs of 4 participants: the mean of 2 RDMs each"
    assert read_human(tmp_path / "r.npz", kind="rdm", options={"repeats": "people"}).sizes["participant"] == 8


def test_sessions_without_people_and_numbers_over_two_files_are_asked_about(tmp_path, rdms):
    np.savez(tmp_path / "one.npz", rdms=rdms[0], session=SESSIONS)
    with pytest.raises(ValueError, match="2 RDMs with a session each and names no participants"):
        read_human(tmp_path / "one.npz", kind="rdm")
    for name in ("ses-1.npy", "ses-2.npy"):
        np.save(tmp_path / name, rdms[:, 0])
    with pytest.raises(ValueError, match=r"'ses-1.npy', 'ses-2.npy' name no participants"):
        read_human([tmp_path / "ses-1.npy", tmp_path / "ses-2.npy"], kind="rdm")


def test_a_pair_judged_in_one_session_keeps_its_value_and_one_judged_in_none_is_missing(tmp_path, rdms):
    rdms[0, 0, 0, 1] = rdms[0, 0, 1, 0] = rdms[0, :, 2, 3] = rdms[0, :, 3, 2] = np.nan
    human = read_human(brain(tmp_path, rdms), kind="rdm")
    assert human.values[0, 0, 1] == rdms[0, 1, 0, 1]
    assert np.isnan(human.values[0, 2, 3])
    assert human["coverage"].values[0, [0, 2, 4], [1, 3, 5]].tolist() == [1, 0, 2]


def test_people_are_people_where_no_session_is_named(tmp_path, rdms):
    np.savez(tmp_path / "r.npz", rdms=rdms[:, 0], participants=["run_a", "day", "sub-1_ses-1", "sub-2_ses-1"])
    human = read_human(tmp_path / "r.npz", kind="rdm")
    assert human.participant.values.tolist() == ["run_a", "day", "sub-1_ses-1", "sub-2_ses-1"]
    assert "averaged" not in human.attrs


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("sub-01_ses-02", ("sub-01", "02")),
        ("hIT | BE | Session: 1", ("hIT | BE", "1")),
        ("run-2_p3", ("p3", "2")),
        ("p3 session B", ("p3", "B")),
        ("p3_s2", ("p3_s2", "")),
        ("courses_1", ("courses_1", "")),
    ],
)
def test_names_are_split_into_person_and_session(name, split):
    assert split_session(name) == split


def test_two_meadows_tasks_of_a_person_are_asked_about(tmp_path):
    stimuli = np.array(["a.png", "b.png", "c.png"])
    files = [tmp_path / f"Meadows_exp_v_v1_able-fly_{task}_1D.mat" for task in (1, 2)]
    for place, file in enumerate(files):
        scipy.io.savemat(file, {"rdmutv": [1.0 + place, 2.0, 3.0], "stimuli": stimuli})
    with pytest.raises(ValueError, match=r"'able-fly' .* has 2 RDMs"):
        read_human(files, kind="arrangement")
    human = read_human(files, kind="arrangement", options={"repeats": "average"})
    assert human.sizes["participant"] == 1
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == 1.5


def test_check_counts_people_and_sessions_and_compares_the_two_sessions(tmp_path, rdms, capsys):
    with pytest.raises(SystemExit):
        main(["human", "check", str(brain(tmp_path, rdms)), "--kind", "rdm", "--halves", "10"])
    text = capsys.readouterr().out
    assert "4: 'BE', 'KO', 'SN', 'TI'" in text
    assert "A participant's RDMs were averaged: 8 RDMs of 4 participants: the mean of 2 sessions each" in text
    i, j = np.triu_indices(6, 1)
    retest = [scipy.stats.spearmanr(*one[:, i, j]).statistic for one in rdms]
    assert f"{np.median(retest):.3f}" in text.split("test-retest similarity")[1].splitlines()[0]
    with pytest.raises(SystemExit):
        main(["human", "convert", str(tmp_path / "brain.mat"), "--kind", "rdm", "--out", str(tmp_path / "r.csv")])
    assert read_human(tmp_path / "r.csv", kind="rdm").sizes["participant"] == 4


class TestImplausibleValues:
    @pytest.mark.parametrize("value", [-5.0, 1e200, -1e-3])
    def test_every_format_warns_with_participant_pair_and_value(self, tmp_path, rdms, value):
        rdms[1, 1, 2, 4] = rdms[1, 1, 4, 2] = value
        for write in FORMS:
            place = r" for KO(, session |_ses-)2 at \(s\w*[23], s\w*[45]\)"
            with pytest.warns(ImplausibleWarning, match=re.escape(f"{value:.6g}") + place):
                read_human(write(tmp_path, rdms), kind="rdm")

    def test_many_are_counted_and_five_are_shown(self, tmp_path, rdms):
        rdms[0, 0] *= -1
        with pytest.warns(ImplausibleWarning, match=r"holds 15 implausible dissimilarities: .* and 10 more"):
            read_human(csv_squares(tmp_path, rdms), kind="rdm")

    def test_cross_validated_distances_may_be_slightly_negative(self, tmp_path, rdms):
        rdms[0, 0, 0, 1] = rdms[0, 0, 1, 0] = -0.3
        read_human(csv_squares(tmp_path, rdms), kind="rdm", options={"values": "crossnobis"})
        rdms[0, 0, 0, 1] = rdms[0, 0, 1, 0] = -5
        with pytest.warns(ImplausibleWarning, match="-5 for BE, session 1"):
            read_human(csv_squares(tmp_path, rdms), kind="rdm", options={"values": "crossnobis"})

    def test_rdms_of_rsatoolbox_warn(self, rdms):
        rdms[0, 0, 0, 1] = rdms[0, 0, 1, 0] = -5
        made = RDMs(rdms[0], rdm_descriptors={"rdm": ["x", "y"]}, pattern_descriptors={"conds": IDS})
        with pytest.warns(ImplausibleWarning, match=r"-5 for x at \(s0, s1\)"):
            rf.from_rsatoolbox(made)
        made.dissimilarity_measure = "crossnobis"
        made.dissimilarities[0, 0] = -0.1
        assert rf.from_rsatoolbox(made).attrs["measure"] == "crossnobis"

    def test_a_control_on_file_warns(self, tmp_path):
        from types import SimpleNamespace

        import pandas as pd

        square = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
        square[0, 1] = square[1, 0] = 1e200
        pd.DataFrame(square, IDS[:4], IDS[:4]).to_csv(tmp_path / "size.csv")
        stimuli = SimpleNamespace(ids=IDS[:4], files=[], table=pd.DataFrame({"stimulus": IDS[:4]}))
        with pytest.warns(ImplausibleWarning, match=r"size.csv holds 1 .*1e\+200 for size at \(s0, s1\)"):
            rf.control_rdms(stimuli, [tmp_path / "size.csv"])

    def test_zeros_rounding_and_a_wide_range_are_plausible(self, tmp_path):
        np.save(tmp_path / "r.npy", np.array([[0, 0, 0, 0, 1.0, 1], [-1e-17, 1e-16, 1, 2, 400, 900]]))
        assert read_human(tmp_path / "r.npy", kind="rdm").sizes["participant"] == 2

    def test_layer_rdms_on_the_command_line_warn_in_a_sentence(self, tmp_path, rdms):
        rdms[0, 0, 0, 1] = rdms[0, 0, 1, 0] = -5
        for along, name in (("rdm", "layers.nc"), ("participant", "people.nc")):
            coords = {along: PEOPLE, "stimulus_i": IDS, "stimulus_j": IDS}
            square = xr.DataArray(rdms[:, 0], coords, (along, "stimulus_i", "stimulus_j"), name="dissimilarity")
            rf.save(square, tmp_path / name)
        words = [
            sys.executable,
            "-m",
            "rsa_face",
            "compare",
            "layers.nc",
            "people.nc",
            "--draws",
            "10",
            "--comparison",
        ]
        done = subprocess.run([*words, "corr"], cwd=tmp_path, capture_output=True, text=True)
        assert "Warning: layers.nc holds 1 implausible dissimilarity: -5 for BE at (s0, s1)." in done.stderr
        assert "Warning: people.nc holds 1 implausible" in done.stderr
        assert "schema.py" not in done.stderr

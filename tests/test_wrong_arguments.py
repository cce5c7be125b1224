"""Arguments in each other's place, or of another kind, are named in a sentence."""

import pytest

import rsa_face as rf


@pytest.fixture(scope="module")
def demo():
    return rf.example("demo")


@pytest.fixture(scope="module")
def rdms(demo):
    human = demo.human.isel(participant=slice(0, 3)).rename(participant="rdm")
    names = {"network": ["net"] * 3, "layer": ["a", "b", "c"], "order": [0, 1, 2], "depth": [0.2, 0.6, 1.0]}
    plain = human.drop_vars([name for name in human.coords if name not in human.dims])
    return plain.assign_coords(rdm=["net/a", "net/b", "net/c"], **{k: ("rdm", v) for k, v in names.items()})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda demo, rdms: rf.compare_layers(demo.human, rdms), ValueError, r"Human RDMs have the dims \('rdm'"),
        (lambda demo, rdms: rf.RSA(demo.human, rdms), ValueError, r"Human RDMs have the dims \('rdm'"),
        (lambda _, rdms: rf.noise_ceiling(rdms), ValueError, r"Human RDMs have the dims \('rdm'"),
        (lambda _, rdms: rf.localize(rdms), ValueError, r"result of `compare_layers`.*DataArray.*'similarity'"),
        (
            lambda _, rdms: rf.contrast_layers(rdms, network="net", baseline="other"),
            ValueError,
            r"result of `compare_layers`.*DataArray.*'similarity'",
        ),
        (lambda demo, _: rf.extract(demo.stimuli, [], "x.zarr"), TypeError, "list of networks.*StimulusSet"),
        (lambda demo, _: rf.stream_rdms(demo.stimuli, []), TypeError, "list of networks.*StimulusSet"),
        (lambda demo, _: rf.compute_rdms(demo.human), TypeError, "Activations.*DataArray"),
        (lambda _, rdms: rf.control_rdms(rdms, ["pixels"]), TypeError, "Stimuli.*DataArray"),
        (lambda _, rdms: rf.plot_layers(rdms), ValueError, "result of `compare_layers`.*DataArray"),
        (lambda demo, _: rf.plot_layers(demo.human), ValueError, "result of `compare_layers`.*DataArray"),
        (lambda _, rdms: rf.plot_study(rdms), ValueError, "result of `compare_layers`.*DataArray"),
        (lambda _, rdms: rf.plot_localization(rdms), ValueError, "`localize` returned.*DataArray"),
        (lambda _, rdms: rf.figures.plot_contrast(rdms), ValueError, "`contrast_layers` returned.*DataArray"),
        (lambda demo, _: rf.plot_rdms(demo.stimuli), TypeError, "Layer RDMs.*StimulusSet"),
        (lambda _, rdms: rf.plot_mds(rdms), ValueError, "`embed_rdm` returned.*DataArray"),
        (lambda demo, _: rf.plot_psychometric(demo.human), ValueError, "`fit_psychometric` returned.*DataArray"),
        (lambda demo, _: rf.fit_psychometric(demo.human), TypeError, "table of choices.*DataArray"),
        (lambda _, rdms: rf.save("x.nc", rdms), TypeError, "array or a result.*str"),
    ],
)
def test_arguments_in_the_wrong_place_are_named(demo, rdms, call, error, words):
    with pytest.raises(error, match=words):
        call(demo, rdms)

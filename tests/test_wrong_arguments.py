"""Arguments in each other's place, or of another kind, are named in a sentence."""

import json
import re
import subprocess
import sys

import pytest

CALLS = {
    "rf.compare_layers(demo.human, rdms)": r"ValueError: Human RDMs have the dims \('rdm'",
    "rf.RSA(demo.human, rdms)": r"ValueError: Human RDMs have the dims \('rdm'",
    "rf.noise_ceiling(rdms)": r"ValueError: Human RDMs have the dims \('rdm'",
    "rf.localize(rdms)": r"ValueError: A result of `compare_layers`.*DataArray.*'similarity'",
    "rf.contrast_layers(rdms, network='net', baseline='other')": r"ValueError: A result of `compare_layers`.*Data",
    "rf.extract(demo.stimuli, [], 'x.zarr')": "TypeError: A list of networks.*StimulusSet",
    "rf.stream_rdms(demo.stimuli, [])": "TypeError: A list of networks.*StimulusSet",
    "rf.compute_rdms(demo.human)": "TypeError: Activations.*DataArray",
    "rf.control_rdms(rdms, ['pixels'])": "TypeError: Stimuli.*DataArray",
    "rf.plot_layers(rdms)": "ValueError: A result of `compare_layers`.*DataArray",
    "rf.plot_layers(demo.human)": "ValueError: A result of `compare_layers`.*DataArray",
    "rf.plot_study(rdms)": "ValueError: A result of `compare_layers`.*DataArray",
    "rf.plot_localization(rdms)": "ValueError: What `localize` returned.*DataArray",
    "rf.figures.plot_contrast(rdms)": "ValueError: What `contrast_layers` returned.*DataArray",
    "rf.plot_rdms(demo.stimuli)": "TypeError: Layer RDMs.*StimulusSet",
    "rf.plot_mds(rdms)": "ValueError: What `embed_rdm` returned.*DataArray",
    "rf.plot_psychometric(demo.human)": "ValueError: What `fit_psychometric` returned.*DataArray",
    "rf.plot_rdms(demo.human)": r"ValueError: A DataArray of layer RDMs.*'participant'.*'network'",
    "rf.figures.plot_agreement(rdms)": "ValueError: What `relate_measures` returned.*'quantity'",
    "rf.figures.plot_reliability(demo.human)": "ValueError: What `assess_reliability` returned.*split_half",
    "rf.figures.plot_geometry(rdms)": "TypeError: What `compare_networks` returned.*DataArray",
    "rf.figures.plot_rdm_similarity(rdms)": "ValueError: What `relate_rdms` returned.*'rdm_j'",
    "rf.figures.plot_saliency(demo.stimuli)": "TypeError: Maps of `map_saliency`.*StimulusSet",
    "rf.figures.plot_training(rdms)": "TypeError: Logs of training.*DataArray",
    "rf.fit_psychometric(demo.human)": "TypeError: A table of choices.*DataArray",
    "rf.save('x.nc', rdms)": "TypeError: An array or a result.*str",
}

# In a process of its own: tests of inference have the annotations of functions checked, which speaks first.
SCRIPT = """
import json, sys
import rsa_face as rf

demo = rf.example("demo")
human = demo.human.isel(participant=slice(0, 3)).rename(participant="rdm")
names = {"network": ["net"] * 3, "layer": ["a", "b", "c"], "order": [0, 1, 2], "depth": [0.2, 0.6, 1.0]}
rdms = human.drop_vars([name for name in human.coords if name not in human.dims])
rdms = rdms.assign_coords(rdm=["net/a", "net/b", "net/c"], **{k: ("rdm", v) for k, v in names.items()})
answers = {}
for call in json.load(sys.stdin):
    try:
        eval(call)
    except Exception as error:
        answers[call] = f"{type(error).__name__}: {error}"
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers():
    calls = json.dumps(list(CALLS))
    ran = subprocess.run([sys.executable, "-c", SCRIPT], input=calls, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("call", CALLS)
def test_arguments_in_the_wrong_place_are_named(answers, call):
    assert re.match(CALLS[call], answers.get(call, "no error")), answers.get(call)

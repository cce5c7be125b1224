"""What `import rsa_face` offers: names that load when used, and former names that say where they went."""

import re
import subprocess
import sys
import warnings
from importlib import import_module, metadata

import numpy as np
import pytest

import rsa_face
from rsa_face import _FORMER_HOME


def test_importing_loads_neither_torch_nor_the_arrays():
    code = "import rsa_face, sys; print(sorted({'torch', 'xarray', 'numpy', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", rsa_face.__all__)
def test_every_public_name_loads_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert getattr(rsa_face, name) is not None
    assert name in dir(rsa_face)


def test_a_name_that_never_was_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'plot_nothing'"):
        rsa_face.plot_nothing  # noqa: B018
    with pytest.raises(AttributeError, match="'plot_nothing'"):
        rsa_face.figures.plot_nothing  # noqa: B018


@pytest.mark.parametrize(("name", "home"), _FORMER_HOME.items())
def test_a_name_that_left_the_top_level_warns_and_names_its_home(name, home):
    with pytest.warns(DeprecationWarning, match=re.escape(f"`from rsa_face.{home} import {name}`")):
        former = getattr(rsa_face, name)
    assert former is getattr(import_module(f"rsa_face.{home}"), name)
    assert name not in rsa_face.__all__


@pytest.mark.parametrize("name", rsa_face.figures.__all__)
def test_every_figure_is_reached_through_its_namespace(name):
    assert callable(getattr(rsa_face.figures, name))


def test_the_version_is_that_of_the_installed_package(monkeypatch):
    assert rsa_face.__version__ == metadata.version("rsa-face")

    def none(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert rsa_face.__version__ == "0+unknown"


def test_the_example_fits_together_and_says_that_it_is_simulated():
    demo = rsa_face.example("demo")
    assert demo.human.attrs["simulated"]
    assert sorted(demo.human["stimulus_i"].values) == sorted(demo.stimuli.ids)
    identity = dict(zip(demo.stimuli.ids, demo.stimuli.table["identity"], strict=True))
    given = dict(zip(demo.human["stimulus_i"].values, demo.human["identity"].values, strict=True))
    assert given == identity
    shuffled = demo.human.isel(stimulus_i=np.arange(54)[::-1], stimulus_j=np.arange(54)[::-1])
    layers = shuffled[:2].rename(participant="rdm").assign_coords(rdm=["a", "b"]).drop_vars(("coverage", "n_trials"))
    assert rsa_face.RSA(layers, demo.human).groups == "identity"


def test_an_example_network_is_untrained_and_takes_the_preprocessing_of_the_study():
    network = rsa_face.example("demo").network("alexnet")
    assert network.preprocessing.crop == 64
    assert network.untrained
    with pytest.raises(ValueError, match="'resnet50'"):
        rsa_face.example("demo").network("resnet50")


@pytest.mark.slow
def test_an_example_network_is_trained_once_and_tells_happy_from_sad_faces_it_did_not_learn_from(tmp_path):
    demo = rsa_face.example("demo")
    network = demo.trained_network("alexnet", folder=tmp_path)
    assert not network.untrained
    ends = rsa_face.network_choices([network], demo.stimuli.select(level=[-1, 1]))
    assert ((ends["p_happy"] > 0.5) == (ends["level"] > 0)).mean() > 0.8
    written = (tmp_path / "alexnet.safetensors").stat().st_mtime_ns
    demo.trained_network("alexnet", folder=tmp_path)
    assert (tmp_path / "alexnet.safetensors").stat().st_mtime_ns == written


def test_an_unknown_example_is_refused():
    with pytest.raises(ValueError, match="'faces'"):
        rsa_face.example("faces")


@pytest.mark.parametrize("first", ["import rsa_face.saliency.regions", "rsa_face.map_saliency", "rsa_face.saliency"])
def test_saliency_is_a_package_and_its_former_function_in_whichever_order_they_are_reached(first):
    code = f"""
import warnings, rsa_face
{first}
import rsa_face.saliency.maps
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        rsa_face.saliency(None, None, method="scorecam")
    except ValueError as error:
        print(error)
print(rsa_face.map_saliency is rsa_face.saliency.maps.map_saliency, *(warning.message for warning in caught))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    refused, warned = said.splitlines()
    assert "'scorecam'" in refused
    assert warned.startswith("True rsa_face.saliency(...) is called rsa_face.map_saliency(...)")

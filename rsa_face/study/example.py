"""The embedded demonstration as objects, to try functions on without files of one's own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from rsa_face.human.read import read_human
from rsa_face.schema import STIMULUS_I, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.study.config import Study, load_study

if TYPE_CHECKING:
    from rsa_face.networks.zoo import Network

EXAMPLES = ("demo",)


@dataclass(frozen=True, eq=False)
class Example:
    """What an embedded study is made of.

    Parameters
    ----------
    study : Study
        The study, for `run_study`.
    stimuli : StimulusSet
        Its faces.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Its human RDMs.
    """

    study: Study
    stimuli: StimulusSet
    human: xr.DataArray

    def __repr__(self) -> str:
        people = (
            f"{self.human.sizes['participant']} {'simulated ' * bool(self.human.attrs.get('simulated'))}observers"
        )
        return (
            f"<Example {self.study.name!r}: {len(self.stimuli)} faces, {people}, networks {', '.join(self.networks)}>"
        )

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks."""
        return tuple(section.called for section in self.study.networks)

    def network(self, name: str = "fe_alexnet") -> "Network":
        """Build one of its networks, untrained, with the preprocessing of the study."""
        from rsa_face.networks.zoo import build_network

        must_be_known(name, self.networks, "network")
        section = self.study.networks[self.networks.index(name)]
        return build_network(
            section.name,
            seed=section.seed,
            attention=section.attention,
            preprocessing=section.preprocessing,
            label=section.called,
        )


def example(name: str = "demo") -> Example:
    """Return the stimuli, human RDMs and networks of an embedded study, to try the package on.

    Everything comes with the package; nothing is downloaded, written or trained. The faces are rendered and the
    observers simulated, so the numbers say nothing about people.

    Parameters
    ----------
    name : {"demo"}
        Which study: 6 identities at 9 levels from sad to happy, rated by 20 simulated observers.

    Returns
    -------
    Example
        With ``stimuli``, ``human``, ``network(name)`` and ``study``.

    Raises
    ------
    ValueError
        If there is no such example.

    Examples
    --------
    >>> demo = example("demo")
    >>> demo
    <Example 'demo': 54 faces, 20 simulated observers, networks alexnet, vgg11, vgg13, vgg16, fe_alexnet>
    >>> demo.stimuli.ids[:2]
    ['face01_sad100', 'face01_sad075']
    >>> dict(demo.human.sizes)
    {'participant': 20, 'stimulus_i': 54, 'stimulus_j': 54}
    """
    must_be_known(name, EXAMPLES, "example")
    study = load_study(name)
    stimuli = read_stimuli(study.stimuli.table)
    section = study.model_dump()["human"]
    human = read_human(section["table"], kind=section["kind"], options=section["options"], stimuli=stimuli.ids)
    places = [stimuli.ids.index(str(stimulus)) for stimulus in human[STIMULUS_I].values]
    factors = {factor: (STIMULUS_I, stimuli.table[factor].to_numpy()[places]) for factor in ("identity", "level")}
    return Example(study, stimuli, human.assign_coords(factors))

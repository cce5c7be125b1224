"""Where the feature-excitation block of FE-AlexNet stands: the settings of a network, without torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsa_face.schema import POSITION_CHANNELS, Position
from rsa_face.settings import Settings

GateHeld = Literal["one", "mean", "shuffled"]
"""How the gates of a trained network are interfered with, see `rsa_face.networks.attention.hold_gate`."""


class Attention(Settings):
    """Where the feature-excitation block stands in FE-AlexNet, and how narrow its waist is.

    Parameters
    ----------
    position : str
        The layer after which the block stands; after its ReLU for ``conv1`` ... ``conv5``, ``fc6``, ``fc7``.
    reduction : int
        Channels in, over channels in the waist.
    bias : bool
        Whether the gate's two layers have biases.
    """

    position: Position = "pool5"
    reduction: Annotated[int, Field(ge=1)] = 16
    bias: bool = False

    @model_validator(mode="after")
    def _has_a_waist(self) -> Self:
        channels = POSITION_CHANNELS[self.position]
        if self.reduction > channels:
            message = f"reduction is {self.reduction}, more than the {channels} channels at {self.position}"
            raise ValueError(message)
        return self

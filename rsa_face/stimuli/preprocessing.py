"""How an image becomes a network's input: settings that belong to the weights."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsa_face.settings import Settings

Pixels = Annotated[int, Field(ge=1)]


class Preprocessing(Settings):
    """How an image becomes a network's input; it belongs to the weights and is recorded with the activations.

    Parameters
    ----------
    resize : int or tuple of int
        A number sets the shorter side and keeps the shape; (height, width) sets both.
    crop : int
        Side of the square cut from the centre, in pixels.
    mean, sd : tuple of float
        Taken from, and divided into, red, green and blue in 0-1.
    interpolation : {"bilinear", "bicubic", "nearest"}
        How the image is resized.
    antialias : bool
        Whether shrinking averages over all pixels it covers. Weights of torchvision were trained with it.

    Examples
    --------
    >>> Preprocessing(resize=64, crop=64).changed(crop=56).crop
    56
    """

    resize: Pixels | tuple[Pixels, Pixels] = 256
    crop: Pixels = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    sd: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    antialias: bool = True

    @model_validator(mode="after")
    def _leaves_an_image(self) -> Self:
        smaller = self.resize if isinstance(self.resize, int) else min(self.resize)
        faults = []
        if self.crop > smaller:
            faults.append(f"crop is {self.crop}, larger than resize, {self.resize}; set both")
        if min(self.sd) <= 0:
            faults.append(f"sd is {self.sd}, not more than 0 for each colour")
        if faults:
            raise ValueError("; ".join(faults))
        return self

"""How a network is trained: every choice that changes its weights, in one record."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rsa_face.schema import repeated
from rsa_face.settings import Seed, Settings, TrainingDevice

HAPPY, SAD = "happy", "sad"


class Augmentation(Settings):
    """How far training images are varied; evaluation never varies them.

    Each picture of each epoch gets its own draw, which depends on the seed, the epoch and the picture alone.

    Parameters
    ----------
    flip : float
        Probability of a mirror image.
    shift : float
        Largest displacement to each side, as a fraction of the image's side.
    scale : float
        Largest enlargement or reduction, as a fraction: .1 draws factors between .9 and 1.1.
    rotate : float
        Largest rotation either way, in degrees.
    brightness : float
        Largest change of all pixels, in standard deviations of the normalised input.
    contrast : float
        Largest change of contrast, as a fraction.
    """

    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    shift: Annotated[float, Field(ge=0, le=1)] = 0.05
    scale: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    rotate: Annotated[float, Field(ge=0, le=180)] = 5.0
    brightness: Annotated[float, Field(ge=0, le=10)] = 0.2
    contrast: Annotated[float, Field(ge=0, le=0.9)] = 0.2


class Recipe(Settings):
    """Every choice of a training but its seed: what the networks of a study share; see `TrainingSettings`."""

    label: str = "valence"
    classes: tuple[str, ...] = (SAD, HAPPY)
    freeze: str = "none"
    epochs: Annotated[int, Field(ge=1)] = 40
    lr: Annotated[float, Field(gt=0)] = 1e-4
    batch: Annotated[int, Field(ge=1)] = 128
    mixed: bool = False
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0
    zero_head: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    size: Annotated[int, Field(ge=32)] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    augmentation: Augmentation | None = None
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None
    stop_at: Annotated[float, Field(gt=0, le=1)] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    device: TrainingDevice = "auto"
    skip_unreadable: bool = False

    @model_validator(mode="after")
    def _can_train(self) -> Self:
        faults = []
        if not {SAD, HAPPY} <= set(self.classes) or repeated(self.classes):
            faults.append(f"classes are {list(self.classes)}; give each once, sad and happy among them")
        if self.patience is not None and not self.validation:
            faults.append(f"patience is {self.patience} with no faces to watch; set validation above 0")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class TrainingSettings(Recipe):
    """Every choice of a training that changes the weights that come out of it.

    The defaults are those of the study that the package follows: Adam at 1e-4, batches of 128, 40 epochs (Ying, Li
    & Chen 2023, arXiv 2310.13674).

    Parameters
    ----------
    label : str
        The column of the training table that holds the class: names (``happy``, ``sad``), or numbers, of which
        those above 0 are happy and those below 0 sad.
    classes : tuple of str
        What the outputs stand for, in order; must hold ``sad`` and ``happy``.
    freeze : str
        Which layers stay as they are: ``none``, ``features`` (all convolutions), or a layer's name: that layer and
        all before it.
    epochs : int
        Passes through the training images.
    lr : float
        Step size of Adam (Kingma & Ba 2015, arXiv 1412.6980).
    batch : int
        Images in a step.
    mixed : bool
        Whether every batch holds the classes in their shares of the whole, rather than by chance.
    schedule : {"constant", "cosine"}
        Whether the step size stays, or falls along a cosine towards 0 at the last step (Loshchilov & Hutter 2017,
        arXiv 1608.03983, without restarts).
    warmup : int
        Steps at the start over which the step size rises from 0: Adam's first steps are its least certain.
    zero_head : bool
        Whether the last layer starts at 0, so that the network starts undecided between the classes. From random
        weights its first outputs are large and wrong, and unlearning them costs epochs.
    weight_decay : float
        L2 penalty, as in Adam.
    dropout : float, optional
        Probability of dropping a unit in the classifier while training; the architecture's own (.5) unless given.
    size : int, optional
        Side of the training images in pixels, if other than the network's preprocessing says. The trained network
        keeps it.
    seed : int
        For the order of the images, dropout, augmentation and the validation split.
    class_weights : {"none", "balanced"}
        Whether each class weighs the same in the loss, however many images it has.
    augmentation : Augmentation or mapping, optional
        How training images are varied; not at all unless given.
    validation : float
        Fraction of the identities that is set aside to watch the training, 0 for none.
    patience : int, optional
        Epochs without a better validation loss after which training stops; the best epoch's weights are kept.
        Needs `validation`. Trains to the end unless given.
    stop_at : float, optional
        Accuracy on the training faces, as they are seen, at which training stops after an epoch: networks that
        learn at different rates are trained to the same mark. Trains to the end unless given.
    precision : {"float32", "bfloat16"}
        Of the forward and backward pass; weights, loss and evaluation stay float32.
    compile : bool
        Whether to run the network through ``torch.compile``.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train; ``auto`` takes a GPU if there is one.
    skip_unreadable : bool
        Whether an image that cannot be read is left out, and counted, rather than an error.

    Examples
    --------
    >>> settings = TrainingSettings(epochs=5, freeze="features")
    >>> settings.lr, settings.changed(seed=1).seed
    (0.0001, 1)
    """

    seed: Seed = 0

    def record(self) -> dict[str, Any]:
        """Return the settings as plain values for manifests and checkpoints, classes as a list.

        Returns
        -------
        dict
            By parameter name.
        """
        return {**super().record(), "classes": list(self.classes)}

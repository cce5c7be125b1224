"""How a network is trained: every choice that changes its weights, in one record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

HAPPY, SAD = "happy", "sad"
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps")
CLASS_WEIGHTS = ("none", "balanced")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Augmentation:
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

    flip: float = 0.5
    shift: float = 0.05
    scale: float = 0.1
    rotate: float = 5.0
    brightness: float = 0.2
    contrast: float = 0.2

    def __post_init__(self) -> None:
        ranges = {"flip": 1, "shift": 1, "scale": 0.9, "rotate": 180, "brightness": 10, "contrast": 0.9}
        wrong = {name: most for name, most in ranges.items() if not 0 <= getattr(self, name) <= most}
        if wrong:
            found = "; ".join(f"{name} is {getattr(self, name)} (0 to {most})" for name, most in wrong.items())
            message = f"Augmentation must stay in its ranges, but {found}. Change these."
            raise ValueError(message)


@dataclass(frozen=True)
class TrainingSettings:
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
    """

    label: str = "valence"
    classes: tuple[str, ...] = (SAD, HAPPY)
    freeze: str = "none"
    epochs: int = 40
    lr: float = 1e-4
    batch: int = 128
    mixed: bool = False
    schedule: str = "constant"
    warmup: int = 0
    zero_head: bool = False
    weight_decay: float = 0.0
    dropout: float | None = None
    size: int | None = None
    seed: int = 0
    class_weights: str = "none"
    augmentation: Augmentation | Mapping[str, float] | None = None
    validation: float = 0.0
    patience: int | None = None
    stop_at: float | None = None
    precision: str = "float32"
    compile: bool = False
    device: str = "auto"
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.augmentation, Mapping):
            unknown = sorted(str(name) for name in self.augmentation if name not in Augmentation.__dataclass_fields__)
            if unknown:
                known = ", ".join(Augmentation.__dataclass_fields__)
                message = f"Augmentation must be among {known}, but has {unknown}. Remove these."
                raise ValueError(message)
            object.__setattr__(self, "augmentation", Augmentation(**self.augmentation))
        object.__setattr__(self, "classes", tuple(self.classes))
        faults = [*self._numbers(), *self._choices()]
        if faults:
            message = f"Training settings must be possible, but {'; '.join(faults)}. Change these."
            raise ValueError(message)

    def record(self) -> dict[str, object]:
        """Return the settings as a plain dict, for manifests and checkpoints.

        Returns
        -------
        dict
            By parameter name; tuples as lists.
        """
        return {**asdict(self), "classes": list(self.classes)}

    def _numbers(self) -> list[str]:
        least = {"epochs": 1, "batch": 1, "seed": 0, "warmup": 0, "weight_decay": 0, "validation": 0}
        faults = [
            f"{name} is {getattr(self, name)} ({low} or more)"
            for name, low in least.items()
            if not getattr(self, name) >= low
        ]
        faults += [f"lr is {self.lr} (above 0)"] if not self.lr > 0 else []
        faults += [f"validation is {self.validation} (below 1)"] if self.validation >= 1 else []
        faults += [f"size is {self.size} (32 or more)"] if self.size is not None and self.size < 32 else []
        if self.dropout is not None and not 0 <= self.dropout < 1:
            faults.append(f"dropout is {self.dropout} (0 to below 1)")
        if self.stop_at is not None and not 0 < self.stop_at <= 1:
            faults.append(f"stop_at is {self.stop_at} (above 0 to 1)")
        if self.patience is not None and (self.patience < 1 or not self.validation):
            faults.append(f"patience is {self.patience} with validation {self.validation} (1 or more, and above 0)")
        return faults

    def _choices(self) -> list[str]:
        known = {"precision": PRECISIONS, "class_weights": CLASS_WEIGHTS, "schedule": SCHEDULES}
        faults = [
            f"{name} is {getattr(self, name)!r} ({' or '.join(choices)})"
            for name, choices in known.items()
            if getattr(self, name) not in choices
        ]
        if self.device.split(":")[0] not in DEVICES:
            faults.append(f"device is {self.device!r} ({', '.join(DEVICES)})")
        lacking = [name for name in (SAD, HAPPY) if name not in self.classes]
        if lacking or len(set(self.classes)) < len(self.classes):
            faults.append(f"classes are {list(self.classes)} (each once, sad and happy among them)")
        return faults

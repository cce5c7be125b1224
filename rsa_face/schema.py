"""The names that arrays share: dimensions, coordinates and choices, stated once, and checks that hold to them."""

import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from rsa_face.safety import first_of

STIMULUS = "stimulus"
STIMULUS_I = "stimulus_i"
STIMULUS_J = "stimulus_j"
PARTICIPANT = "participant"
RDM = "rdm"
NETWORK = "network"
LAYER = "layer"
PEOPLE = "people"
OF_NETWORK = "of_network"
DEPTH = "depth"
ORDER = "order"
DRAW = "draw"
BOUND = "bound"
BOUNDS = ("lower", "upper")
MEASURE = "measure"
OTHER_MEASURES = "other_measures"
UNTRAINED = "untrained"
TRAINING_UNKNOWN = "training_unknown"

NOBODY = "none"
"""For participants: nobody recorded whose each judgement is."""

UNSIGNED = "unsigned"
"""The attr of human RDMs, and of what layers were compared with, that holds mean ratings of nobody knows whom."""

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None")
"""What tables write where a value is missing, whatever the program."""

PAIR = "pair"
"""The coordinate of stimuli that were judged in one pair each: the pair is then what is drawn."""

AUTO_GROUPS = "auto"
"""`groups` that are chosen from the stimuli, see `inference.resampling.choose_groups`."""

Occlusion = Literal["none", "eyes", "nose", "mouth"]
Position = Literal["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7"]

OCCLUSIONS: tuple[str, ...] = get_args(Occlusion)
POSITIONS: tuple[str, ...] = get_args(Position)
POSITION_CHANNELS = dict(zip(POSITIONS, (64, 64, 192, 192, 384, 256, 256, 256, 4096, 4096), strict=True))


@dataclass(frozen=True)
class Comparison:
    """A way to compare two RDMs: one row of `COMPARISONS`, from which all that offers comparisons is derived."""

    label: str  # what axes and sentences call it
    # what is compared: ``"products"`` of dissimilarities, products of their ``"ranks"``, the order of pairs of pairs
    # (``"kendall"``), or whatever `kernel` computes
    scores: Literal["products", "ranks", "kendall", "kernel"]
    # the partial correlation that stands beside it: ``"corr"``, ``"spearman"`` or ``"rho-a"``
    partial: Literal["corr", "spearman", "rho-a"]
    centred: bool = False  # whether each RDM's mean is taken out first
    whitened: bool = False  # whether the covariance of dissimilarities that share a stimulus is taken out
    tie_corrected: bool = False  # whether ranks are divided by their own spread, which ties reduce
    # whether 0 means no similarity. Dissimilarities are positive, so the cosine of two unrelated RDMs is far above 0:
    # a test against 0 rejects always, is not offered, and only shuffles say what chance gives
    zero_is_none: bool = True
    # for ``scores="kernel"``: a function of (rdm, pair) and (participant, pair) dissimilarities without gaps wherever
    # the weights (pair,) are not 0, and of how often each stimulus was drawn (stimulus,); it returns the similarities
    # (rdm, participant)
    kernel: Callable[..., Any] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the similarity is the inner product of two vectors that depend on one RDM each."""
        return self.scores in ("products", "ranks") and not self.whitened


COMPARISONS: dict[str, Comparison] = {
    "cosine": Comparison("cosine", "products", "corr", zero_is_none=False),
    "corr": Comparison("Pearson r", "products", "corr", centred=True),
    "spearman": Comparison("Spearman ρ", "ranks", "spearman", tie_corrected=True),
    "rho-a": Comparison("Spearman ρ-a", "ranks", "rho-a"),
    "tau-a": Comparison("Kendall τ-a", "kendall", "rho-a"),
    "kendall": Comparison("Kendall τ-b", "kendall", "spearman", tie_corrected=True),
    "corr_cov": Comparison("whitened correlation", "products", "corr", centred=True, whitened=True),
    "cosine_cov": Comparison("whitened cosine", "products", "corr", whitened=True, zero_is_none=False),
}
"""By rsatoolbox's names. A comparison of your own is a row more."""


def comparison_label(comparison: str) -> str:
    """Return what axes and sentences call a comparison; the name itself where a file holds one unknown here."""
    return COMPARISONS[comparison].label if comparison in COMPARISONS else comparison


TRIAL_SCORES = {
    "accuracy": "Trials predicted above guessing (share)",
    "log-likelihood": "Information about trials (bits above guessing)",
}
"""How the prediction of trials is scored, in place of a comparison of RDMs, and what axes call it."""

_CLASSIFIER = ("fc6", "relu6", "fc7", "relu7", "fc8")


@dataclass(frozen=True)
class Architecture:
    """A network that is built by its name: one row of `NETWORKS`, from which all that lists networks is derived."""

    label: str  # what figures and sentences call it
    blocks: tuple[int, ...]  # convolutions before each pooling layer
    connected: tuple[int, int, int]  # where its fully connected layers stand in torchvision's ``classifier``
    builder: str  # the function of torchvision that builds it; it names the ImageNet weights, too
    # whether layers are numbered within blocks (``conv5_3``, VGG) or through the network (``conv5``, AlexNet)
    in_blocks: bool = True
    attention: bool = False  # whether feature-excitation blocks are put in

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer, in the order they run, without feature-excitation blocks."""
        names: list[str] = []
        number = 0
        for block, convolutions in enumerate(self.blocks, start=1):
            for place in range(1, convolutions + 1):
                number += 1
                at = f"{block}_{place}" if self.in_blocks else f"{number}"
                names += [f"conv{at}", f"relu{at}"]
            names.append(f"pool{block if self.in_blocks else number}")
        return (*names, *_CLASSIFIER)

    @property
    def convolutions(self) -> tuple[int, ...]:
        """Where the convolutions stand in torchvision's ``features``: each is followed by its ReLU."""
        return tuple(place for place, name in enumerate(self.layers) if name.startswith("conv"))


NETWORKS: dict[str, Architecture] = {
    "alexnet": Architecture("AlexNet", (1, 1, 3), (1, 4, 6), "alexnet", in_blocks=False),
    "fe_alexnet": Architecture("FE-AlexNet", (1, 1, 3), (1, 4, 6), "alexnet", in_blocks=False, attention=True),
    "vgg11": Architecture("VGG11", (1, 1, 2, 2, 2), (0, 3, 6), "vgg11"),
    "vgg13": Architecture("VGG13", (2, 2, 2, 2, 2), (0, 3, 6), "vgg13"),
    "vgg16": Architecture("VGG16", (2, 2, 3, 3, 3), (0, 3, 6), "vgg16"),
}
"""In the order of every list and figure."""

LIBRARIES = ("torchvision", "timm")
LIBRARY = "library"
"""The weights that come with a network by reference: the library's own, or what a builder puts in."""


def is_reference(network: str) -> bool:
    """Return whether a network is named by reference, as ``torchvision:NAME`` or ``package.module:callable``.

    Examples
    --------
    >>> is_reference("torchvision:resnet50"), is_reference("vgg16")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z_][\w.]*:[\w.-]+", network) is not None


def is_builder(network: str) -> bool:
    """Return whether a network is what a callable of the user's own builds."""
    return is_reference(network) and network.partition(":")[0] not in LIBRARIES


def label_of(network: str) -> str:
    """Return what a network is called where it has no label: of a reference, what stands behind the colon.

    Examples
    --------
    >>> label_of("torchvision:resnet50"), label_of("vgg16")
    ('resnet50', 'vgg16')
    """
    return network.rpartition(":")[2]


def must_be_network(network: str) -> None:
    """Refuse what is neither one of the five networks nor written as a reference, naming the nearest."""
    if network in NETWORKS or is_reference(network):
        return
    near = get_close_matches(network, NETWORKS, n=1, cutoff=0.6)
    guess = f"Did you mean {near[0]}? " if near else ""
    message = (
        f"Unknown network: {network!r}. {guess}Choose one of {', '.join(NETWORKS)}, or torchvision:NAME, "
        "timm:NAME or package.module:callable."
    )
    raise ValueError(message)


Array = Any
"""Of numpy or torch: what computes with it uses names that both have, and ``...`` for any leading axes."""


def library_of(array: Array) -> Any:
    """Return the library that an array belongs to: numpy or torch."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


@dataclass(frozen=True)
class Measure:
    """One way to make an RDM of a layer: its name, what it needs, and how inner products become distances."""

    definition: str  # what it is, as a clause of a methods section: ``Dissimilarity was ...``
    label: str  # what it is, on a figure
    # {"patterns", "features", "nothing", ""}: what is subtracted before inner products are taken: each pattern's mean
    # over features, each feature's mean over stimuli, or nothing. Empty for measures of repeated presentations, which
    # rsatoolbox computes
    centre: str = ""
    # takes the products (stimulus, stimulus) and the number of features, and returns the dissimilarities
    dissimilarity: Callable[[Any, int], Any] | None = None
    # what a pattern is called that has no such dissimilarity to others; empty if every pattern has one
    fault: str = ""
    # how many features it needs to vary over pairs of stimuli; how many it is defined for, 0 for any number
    fewest: int = 1
    most: int = 0
    instead: str = ""  # the measure that stands in for it in a layer with fewer features

    @property
    def repeated(self) -> bool:
        """Whether every stimulus must have been presented more than once."""
        return self.dissimilarity is None

    def prepare(self, values: Any) -> Any:
        """Return what inner products are taken of: of two outputs, where no more are allowed, their difference."""
        return values[:, 1:] - values[:, :1] if self.most == 2 and values.shape[1] == 2 else values


def _one_minus_cosine(products: Any, _features: int) -> Any:
    norm = np.sqrt(np.diagonal(products))
    return 1 - products / np.outer(norm, norm)


def _mean_square(products: Any, features: int) -> Any:
    square = np.diagonal(products)
    return (square[:, None] + square[None, :] - 2 * products) / features


def _absolute_difference(products: Any, _features: int) -> Any:
    # The products of one number d a stimulus are d[i] * d[j]: a row of them, divided by the largest |d|, is d itself,
    # but for its sign. Squares, differences and roots of the products would lose half of the digits.
    largest = int(np.argmax(np.diagonal(products)))
    d = products[largest] / (np.sqrt(products[largest, largest]) or 1.0)
    return np.abs(d[:, None] - d[None, :])


MEASURES: dict[str, Measure] = {
    "correlation": Measure(
        "1 minus the Pearson correlation of the two patterns",
        "correlation",
        "patterns",
        _one_minus_cosine,
        fault="constant",
        fewest=3,  # over two features a correlation is +1 or -1
        instead="difference",
    ),
    "euclidean": Measure(
        "the squared Euclidean distance of the two patterns, divided by their number of features",
        "squared Euclidean",
        "features",
        _mean_square,
    ),
    "cosine": Measure(
        "1 minus the cosine of the two patterns",
        "cosine",
        "nothing",
        _one_minus_cosine,
        fault="all zero",
        fewest=2,  # the cosine of two numbers is +1 or -1
        instead="difference",
    ),
    "difference": Measure(
        "the absolute difference of the layer's one output, or of the difference of its two outputs",
        "difference of outputs",
        "features",
        _absolute_difference,
        most=2,
    ),
    "mahalanobis": Measure(
        "the squared Mahalanobis distance of the two patterns, divided by their number of features",
        "Mahalanobis",
    ),
    "crossnobis": Measure("the cross-validated Mahalanobis distance of the two patterns", "crossnobis"),
}
"""Every measure that makes an RDM of a layer; what is added here can be chosen wherever measures are."""

_LISTED = 20  # faults
_MADE_BY = {
    RDM: "Give layer RDMs here, as `rsa-face rdms` and `compute_rdms` make them.",
    PARTICIPANT: "Give human RDMs here, as `rsa-face human convert` and `read_human` make them.",
}


def check_rdms(rdms: xr.DataArray, *, along: str, name: str = "RDMs") -> xr.DataArray:
    """Check the form of an array of RDMs, and return it unchanged.

    An RDM that is asymmetric, has a diagonal other than 0, or names a stimulus twice gives wrong similarities
    without any sign of it; so every way into the package passes through here. All faults are raised at once.
    """
    if tuple(rdms.dims) != (along, STIMULUS_I, STIMULUS_J):
        message = (
            f"{name} have the dims {tuple(rdms.dims)}, not {(along, STIMULUS_I, STIMULUS_J)}. "
            f"{_MADE_BY.get(along, 'Give others.')}"
        )
        raise ValueError(message)
    missing = [dim for dim in rdms.dims if dim not in rdms.coords]
    if missing:
        message = f"{name} have no ids along {missing}. Add a coordinate for each."
        raise ValueError(message)
    faults = _faults_of_ids(rdms, along) or _faults_of_values(rdms, along)
    if faults:
        message = f"{name} are not RDMs (square, symmetric, 0 on the diagonal): {first_of(faults, '; ')}."
        raise ValueError(message)
    return rdms


IMPLAUSIBLE = 1000.0  # times the third quartile of the other dissimilarities of an RDM
_SIGNED = re.compile(r"crossnobis|cross.?valid|_cv\b|\bld[ct]\b|dprime|d'", re.IGNORECASE)


class ImplausibleWarning(UserWarning):
    """Dissimilarities that no measure gives were read."""


def has_sign(attrs: Mapping[Any, Any]) -> bool:
    """Return whether attrs name a measure whose dissimilarities may be negative: cross-validated, or a d'."""
    return any(_SIGNED.search(str(attrs.get(name, ""))) for name in ("measure", "distance"))


def warn_implausible(
    dissimilarities: NDArray[Any], labels: Sequence[str], stimuli: Sequence[str], name: str, *, signed: bool
) -> None:
    """Warn of dissimilarities that are negative, or far above the rest of their RDM, naming RDM, pair and value.

    Far above is more than 1000 times the third quartile of the RDM's absolute values, or above 1e100, whose square
    is no number. Rounding (a millionth of the quartile) is no negative value. Cross-validated distances (crossnobis)
    scatter around 0: of these a negative value is reported where it lies further below 0 than twice the largest
    value lies above it.
    """
    examples: list[str] = []
    count = 0
    for label, values in zip(labels, dissimilarities, strict=True):
        wrong = np.flatnonzero(_implausible(values, signed=signed))
        count += len(wrong)
        if len(wrong) and len(examples) < _WARNED_OF:
            i, j = np.triu_indices(len(stimuli), 1)
            pairs = [f"({stimuli[i[k]]}, {stimuli[j[k]]})" for k in wrong[: _WARNED_OF - len(examples)]]
            examples += [f"{values[k]:.6g} for {label} at {pair}" for k, pair in zip(wrong, pairs, strict=False)]
    if count:
        more = f" and {count - len(examples):,} more" if count > len(examples) else ""
        message = (
            f"{name} holds {count:,} implausible dissimilarit{'y' if count == 1 else 'ies'}: {'; '.join(examples)}"
            f"{more}. Check whether they are codes of missing values. Only cross-validated distances are negative "
            "(measure crossnobis)."
        )
        warnings.warn(message, ImplausibleWarning, stacklevel=3)


def warn_implausible_rdms(rdms: xr.DataArray, name: str) -> None:
    """Warn as `warn_implausible` does of square RDMs, of dims (any, stimulus_i, stimulus_j) or the last two."""
    squares = rdms if rdms.ndim == 3 else rdms.expand_dims(RDM)
    along = str(squares.dims[0])
    labels = [str(value) for value in squares[along].values]
    upper = np.asarray(squares.values, dtype=float)[:, *np.triu_indices(squares.sizes[STIMULUS_I], 1)]
    warn_implausible(upper, labels, stimulus_ids(squares), name, signed=has_sign(rdms.attrs))


_WARNED_OF = 5


def _implausible(values: NDArray[Any], *, signed: bool) -> NDArray[np.bool_]:
    """Return which dissimilarities of one RDM are implausible; one pass and no copy where none can be."""
    low, high = (float(np.fmin.reduce(values, initial=np.inf)), float(np.fmax.reduce(values, initial=-np.inf)))
    sample = np.abs(values[:: max(1, len(values) // 2**18)]).astype(float)
    sample = sample[~np.isnan(sample)]
    quartile = float(np.quantile(sample, 0.75, method="lower")) if len(sample) else 0.0
    top = min(IMPLAUSIBLE * quartile or np.inf, 1e100)
    bottom = -2 * max(high, 0.0) if signed else -max(1e-6 * quartile, 1e-12)
    if low >= bottom and high <= top:
        return np.zeros(len(values), dtype=bool)
    return np.asarray((values < bottom) | (values > top))


def symmetric(matrices: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which square matrices are symmetric but for rounding, and not infinite; NaN may face NaN."""
    good = np.ones(len(matrices), dtype=bool)
    step = max(1, 2**18 // max(1, matrices.shape[-1] ** 2))  # many small ones together, in the processor's cache
    for start in range(0, len(matrices), step):
        some = matrices[start : start + step]
        same = some == some.swapaxes(1, 2)  # most are, and this is quick
        if not same.all():
            same |= _same_but_for_rounding(some, some.swapaxes(1, 2))
        good[start : start + step] = (same & ~np.isinf(some)).all(axis=(1, 2))
    return good


def asymmetric_pairs(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Return the pairs (i, j), i < j, at which a matrix differs from its transpose by more than rounding."""
    pairs = np.argwhere(matrix != matrix.T)
    i, j = pairs[pairs[:, 0] < pairs[:, 1]].T
    differ = ~_same_but_for_rounding(matrix[i, j], matrix[j, i])
    return np.stack([i[differ], j[differ]], axis=1)


def _same_but_for_rounding(some: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isclose(some, others, rtol=1e-6, atol=1e-12, equal_nan=True))


def names_in(attrs: Mapping[Any, Any], key: str) -> list[str]:
    """Return the names that an attr lists; one name is kept as itself, and what is no name is none."""
    named = attrs.get(key)
    if isinstance(named, str):
        return [named]
    if isinstance(named, list | tuple) or (isinstance(named, np.ndarray) and named.ndim == 1):
        return [str(name) for name in named]
    return []


def origin_of(*parts: Mapping[Any, Any]) -> dict[Any, list[str]]:
    """Return which networks the attrs of some parts call untrained, and of which they do not know.

    Examples
    --------
    >>> origin_of({"untrained": ["vgg16"]}, {"untrained": ["alexnet"], "training_unknown": ["mine"]})
    {'untrained': ['alexnet', 'vgg16'], 'training_unknown': ['mine']}
    """
    return {
        key: sorted({name for attrs in parts for name in names_in(attrs, key)})
        for key in (UNTRAINED, TRAINING_UNKNOWN)
    }


def coords_along(array: xr.DataArray | xr.Dataset, dim: str) -> dict[str, xr.DataArray]:
    """Return the coordinates that lie along one dimension, its own labels included.

    Examples
    --------
    >>> list(coords_along(xr.DataArray([0, 1], {"rdm": ["a", "b"], "layer": ("rdm", ["fc7", "fc8"])}, ("rdm",)), RDM))
    ['rdm', 'layer']
    """
    return {str(name): coord for name, coord in array.coords.items() if coord.dims == (dim,)}


def factors_of(rdms: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return what is known of each stimulus of an array of RDMs, such as its identity or level."""
    return {name: factor for name, factor in coords_along(rdms, STIMULUS_I).items() if name != STIMULUS_I}


def table_along(dataset: xr.Dataset, dim: str, *, across: str | None = None) -> pd.DataFrame:
    """Return what a result holds along one of its dimensions as a table, the ends of intervals in two columns.

    What it also holds for each value of another dimension, `across`, has a column for each: ``similarity_patients``.
    """
    columns = {dim: dataset[dim].values} if dim in dataset.coords else {}
    columns |= {name: coord.values for name, coord in coords_along(dataset, dim).items()}
    for name, variable in dataset.data_vars.items():
        parts = {str(name): variable}
        if across in variable.dims:
            parts = {f"{name}_{value}": variable.sel({across: value}) for value in dataset[across].values}
        for part, values in parts.items():
            if values.dims == (dim,):
                columns[part] = values.values
            elif set(values.dims) == {dim, BOUND}:
                columns |= {f"{part}_{bound}": values.sel({BOUND: bound}).values for bound in dataset[BOUND].values}
    return pd.DataFrame(columns)


def stimulus_ids(rdms: xr.DataArray) -> list[str]:
    """Return the stimulus ids of an array of RDMs, in its order."""
    return [str(value) for value in rdms[STIMULUS_I].values]


def must_be_known(value: str, choices: Iterable[str], what: str) -> None:
    """Refuse a name that is not among the choices.

    Examples
    --------
    >>> must_be_known("cosine", MEASURES, "measure")
    """
    choices = list(choices)
    if value not in choices:
        advice = f"Choose one of {', '.join(choices)}." if choices else "There are none to choose from."
        message = f"Unknown {what}: {value!r}. {advice}"
        raise ValueError(message)


def must_hold(given: Any, names: Iterable[str], wanted: str) -> None:
    """Refuse an argument without the variables or coordinates that a function reads, such as one in another's place.

    Examples
    --------
    >>> must_hold(xr.Dataset({"similarity": 0.5}), ["similarity"], "A result of `compare_layers`")
    """
    kinds = ("variables", "coords", "columns")
    held: Any = next((getattr(given, kind) for kind in kinds if hasattr(given, kind)), ())
    missing = [name for name in names if name not in held]
    if missing:
        dims = getattr(given, "dims", None)
        form = f" with the dims {tuple(map(str, dims))}" if dims else ""
        message = f"{wanted} is needed here, and a {type(given).__name__}{form} was given: it lacks {missing}."
        raise ValueError(message)


def layer_names(network: str, attention: Sequence[str] = ()) -> list[str]:
    """Return the names of a network's layers without building it, so that a misspelt one is found before it runs.

    Examples
    --------
    >>> layer_names("fe_alexnet", ["pool5"])[-8:]
    ['pool5', 'fe_gate', 'fe', 'fc6', 'relu6', 'fc7', 'relu7', 'fc8']
    """
    must_be_known(network, NETWORKS, "network")
    names = list(NETWORKS[network].layers)
    for position in attention:
        behind = names.index(position.replace("conv", "relu").replace("fc", "relu")) + 1
        ending = "" if len(attention) == 1 else f"_{position}"
        names[behind:behind] = [f"fe_gate{ending}", f"fe{ending}"]
    return names


def split_seed(network: str) -> tuple[str, int]:
    """Split a network's label into its family and its seed: the part after the last slash, if it is a number.

    Examples
    --------
    >>> split_seed("alexnet/imagenet/3"), split_seed("alexnet")
    (('alexnet/imagenet', 3), ('alexnet', 0))
    """
    family, slash, last = network.rpartition("/")
    return (family, int(last)) if slash and last.isdigit() else (network, 0)


def repeated(ids: Sequence[str]) -> list[str]:
    """Return the ids that occur more than once, sorted.

    Examples
    --------
    >>> repeated(["a", "b", "a"])
    ['a']
    """
    values, counts = np.unique(np.asarray(ids, dtype=str), return_counts=True)
    return [str(value) for value in values[counts > 1]]


def _faults_of_ids(rdms: xr.DataArray, along: str) -> list[str]:
    rows, columns = (np.asarray(rdms[dim].values, dtype=str) for dim in (STIMULUS_I, STIMULUS_J))
    faults = []
    if rows.tolist() != columns.tolist():
        faults.append("rows and columns name different stimuli, or the same in another order")
    for dim in (along, STIMULUS_I):
        twice = repeated([str(value) for value in rdms[dim].values])
        if twice:
            faults.append(f"{dim} names {twice} more than once")
    return faults


def _faults_of_values(rdms: xr.DataArray, along: str) -> list[str]:
    try:
        numbers = np.asarray(rdms.values, dtype=float)
    except (TypeError, ValueError):
        return [f"dissimilarities are of type {rdms.dtype}, not numbers"]
    faults: list[str] = []
    sound = symmetric(numbers) & (np.nan_to_num(np.diagonal(numbers, axis1=1, axis2=2)) == 0).all(axis=1)
    for which in np.flatnonzero(~sound)[:_LISTED]:
        label, values = rdms[along].values[which], numbers[which]
        if np.isinf(values).any():
            faults.append(f"{str(label)!r} holds an infinite dissimilarity")
            continue
        diagonal = np.diagonal(values)
        if np.any(np.nan_to_num(diagonal) != 0):
            worst = int(np.argmax(np.abs(np.nan_to_num(diagonal))))
            stimulus = str(rdms[STIMULUS_I].values[worst])
            faults.append(f"{str(label)!r} has {diagonal[worst]:.4g} on the diagonal at {stimulus!r}")
        for i, j in asymmetric_pairs(values)[:1]:
            pair = f"({rdms[STIMULUS_I].values[i]}, {rdms[STIMULUS_I].values[j]})"
            faults.append(f"{str(label)!r} is asymmetric at {pair}: {values[i, j]:.6g} against {values[j, i]:.6g}")
    return faults

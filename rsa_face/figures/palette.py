"""One colour, mark, name and place for each network, the same in every figure, and the colours of what is not one."""

from collections.abc import Iterable

from matplotlib import colors

from rsa_face.schema import NETWORKS

# in the order of the registry
_COLORS = ("#D07C00", "#A80F3C", "#63BDB4", "#2B78AC", "#18234F")
_MARKERS = ("o", "D", "^", "s", "v")
NETWORK_ORDER = tuple(NETWORKS)
NETWORK_LABELS = {name: row.label for name, row in NETWORKS.items()}
NETWORK_COLORS = dict(zip(NETWORKS, _COLORS, strict=True))
NETWORK_MARKERS = dict(zip(NETWORKS, _MARKERS, strict=True))
OTHER_COLORS = ("#6A6A6A", "#8C6BB1", "#5A7D2A", "#A65628", "#D16BA5")
OTHER_MARKERS = ("P", "X", "<", ">", "h")
HUMAN_COLOR = "#3A3A3A"
CEILING_COLOR = "#D9D9D9"
QUIET = "#6E6E6E"
RDM_COLORS = "viridis"


def in_order(networks: Iterable[str]) -> list[str]:
    """Return networks in the order every figure shows them: the five first, then others by name.

    Parameters
    ----------
    networks : iterable of str
        Names, each possibly more than once, such as ``alexnet`` or ``alexnet/imagenet/0``.

    Returns
    -------
    list of str
        Each name once.

    Examples
    --------
    >>> in_order(["vgg16", "mine", "alexnet", "vgg16"])
    ['alexnet', 'vgg16', 'mine']
    """
    places = {name: place for place, name in enumerate(NETWORK_ORDER)}
    names = sorted({str(name) for name in networks})
    return sorted(names, key=lambda name: places.get(architecture_of(name), len(places)))


def architecture_of(network: str) -> str:
    """Return which of the five networks a name stands for, or the name itself.

    Parameters
    ----------
    network : str
        A network's name; what follows a slash says how it was trained.

    Returns
    -------
    str
        ``fe_alexnet`` for ``fe_alexnet/imagenet/0``.
    """
    return network.split("/", 1)[0]


def network_colors(networks: Iterable[str]) -> dict[str, str]:
    """Return the colour of each network, the same in every figure.

    The five differ in lightness as well as in hue: in grayscale by 11 steps of CIE L* and more, and for readers with
    protan, deutan or tritan vision by 20 and more of CIELAB distance. Several networks of one architecture share
    its hue and grow paler.

    Parameters
    ----------
    networks : iterable of str
        Names.

    Returns
    -------
    dict of str to str
        Hexadecimal colours.
    """
    names = in_order(networks)
    others = sorted({architecture_of(name) for name in names} - set(NETWORK_COLORS))
    base = NETWORK_COLORS | {name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, name in enumerate(others)}
    found = {}
    for name in names:
        kin = [other for other in names if architecture_of(other) == architecture_of(name)]
        found[name] = paler(base[architecture_of(name)], 0.55 * kin.index(name) / len(kin))
    return found


def network_markers(networks: Iterable[str]) -> dict[str, str]:
    """Return the marker of each network, so that colour is never the only difference.

    Parameters
    ----------
    networks : iterable of str
        Names.

    Returns
    -------
    dict of str to str
        Matplotlib markers.
    """
    names = in_order(networks)
    others = sorted({architecture_of(name) for name in names} - set(NETWORK_MARKERS))
    base = NETWORK_MARKERS | {name: OTHER_MARKERS[i % len(OTHER_MARKERS)] for i, name in enumerate(others)}
    return {name: base[architecture_of(name)] for name in names}


def network_label(network: str) -> str:
    """Return how a network is written for readers.

    Parameters
    ----------
    network : str
        A name.

    Returns
    -------
    str
        ``FE-AlexNet`` for ``fe_alexnet``, ``AlexNet imagenet 0`` for ``alexnet/imagenet/0``.
    """
    architecture, *rest = network.split("/")
    return " ".join([NETWORK_LABELS.get(architecture, architecture), *rest])


def paler(color: str, amount: float) -> str:
    """Return a colour mixed with white.

    Parameters
    ----------
    color : str
        Any colour matplotlib knows.
    amount : float
        0 leaves it, 1 makes it white.

    Returns
    -------
    str
        A hexadecimal colour.

    Examples
    --------
    >>> paler("#000000", 0.5)
    '#808080'
    """
    red, green, blue = (1 - (1 - part) * (1 - amount) for part in colors.to_rgb(color))
    return colors.to_hex((red, green, blue))


def ink(color: str) -> str:
    """Return a colour dark enough for words on white: a contrast of 4.5 to 1 (WCAG 2.2, AA), its hue kept.

    Parameters
    ----------
    color : str
        Any colour matplotlib knows.

    Returns
    -------
    str
        A hexadecimal colour.
    """
    rgb = colors.to_rgb(color)
    for _ in range(40):
        if 1.05 / (_luminance(rgb) + 0.05) >= 4.5:
            break
        red, green, blue = rgb
        rgb = (0.96 * red, 0.96 * green, 0.96 * blue)
    return colors.to_hex(rgb)


def ink_on(color: str | tuple[float, float, float, float]) -> str:
    """Return black or white, whichever can be read on a colour: the contrast is 4.5 to 1 and more.

    Parameters
    ----------
    color : str or tuple of float
        Any colour matplotlib knows.

    Returns
    -------
    str
        A hexadecimal colour.

    Examples
    --------
    >>> ink_on("#F2F2F2"), ink_on("#B2182B")
    ('#000000', '#ffffff')
    """
    light = _luminance(colors.to_rgb(color))
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#ffffff"


def _luminance(rgb: tuple[float, float, float]) -> float:
    """Return how light a colour is on a screen, from 0 to 1 (WCAG 2.2)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

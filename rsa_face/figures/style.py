"""How figures look: sizes and type of journals and talks, colours and marks of networks, people and RDMs."""

import colorsys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import colors, font_manager

from rsa_face.schema import NETWORKS, must_be_known

MM_PER_INCH = 25.4
POINTS_PER_INCH = 72.0
_FONTS = ("Arial", "Helvetica", "Liberation Sans")
_SHIPPED = Path(__file__).parent / "fonts"


@dataclass(frozen=True)
class FigureStyle:
    """The sizes a journal, or a room, asks for."""

    name: str  # ``nature``, ``plos``, ``apa`` or ``talk``
    single_mm: float  # width of a figure over one column
    double_mm: float  # and over the page
    tallest_mm: float  # greatest height
    text_pt: float  # size of labels
    small_pt: float  # of tick labels and notes
    least_pt: float  # the smallest allowed
    line_pt: float  # width of a data line
    middle_mm: float | None = None  # width of one column and a half, where the journal has one; else half-way


@dataclass(frozen=True)
class _Wishes:
    """What an author wants otherwise than it is in every figure: colours, names and order of networks."""

    colors: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    order: Sequence[str] = ()


WIDTHS = ("single", "1.5", "double")
STYLES = {
    "nature": FigureStyle("nature", 89, 183, 170, 7, 6, 5, 1.0, middle_mm=136),
    "plos": FigureStyle("plos", 132, 190.5, 222, 9, 8, 8, 1.2),
    "apa": FigureStyle("apa", 80, 165, 220, 9, 8, 8, 1.2),
    "talk": FigureStyle("talk", 160, 320, 170, 18, 14, 12, 2.4),
}
_active: ContextVar[FigureStyle | None] = ContextVar("figure style", default=None)
_wishes: ContextVar[_Wishes] = ContextVar("wishes of an author", default=_Wishes())  # noqa: B039 # it is frozen


@contextmanager
def figure_style(
    name: str = "nature",
    *,
    width: str | None = None,
    colors: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
) -> Iterator[FigureStyle]:
    """Draw the figures of a block in a style, and leave matplotlib's settings as they were.

    Colours, names and order hold for every figure of the block, so that a network looks the same in all of them.

    Parameters
    ----------
    name : {"nature", "plos", "apa", "talk"}
        Nature: 89 and 183 mm, type of 5-7 points. PLOS: 132 and 190.5 mm, 8-12 points. APA: the text width of a
        manuscript page, type of 8 points and more. Talk: a wide slide.
    width : {"single", "1.5", "double"}, optional
        The width of every figure, in columns: 89, 136 and 183 mm for Nature; for the others one and a half columns
        are half-way between the two widths above. If None, each figure takes the width that it needs of the first
        and the last.
    colors : dict of str to str, optional
        The colour of networks that should have another than the package's: ``{"fe_alexnet": "#0072B2"}``. An
        architecture's name stands for all of its seeds, which grow paler; a whole label for that network alone.
    labels : dict of str to str, optional
        How networks are written: ``{"fe_alexnet": "Ours"}``.
    order : sequence of str
        The networks that come first, in this order; the others follow as usual.

    Yields
    ------
    FigureStyle
        The sizes in force.

    Raises
    ------
    ValueError
        If there is no such style or width, or something is no colour.

    Examples
    --------
    >>> with figure_style("plos") as style:
    ...     style.double_mm
    190.5
    >>> with figure_style("nature", width="1.5", labels={"fe_alexnet": "Ours"}) as style:
    ...     style.single_mm, network_label("fe_alexnet")
    (136, 'Ours')
    """
    must_be_known(name, STYLES, "figure style")
    style = STYLES[name]
    if width is not None:
        must_be_known(width, WIDTHS, "width of a figure")
        middle = style.middle_mm or (style.single_mm + style.double_mm) / 2
        wide = dict(zip(WIDTHS, (style.single_mm, middle, style.double_mm), strict=True))[width]
        style = replace(style, single_mm=wide, double_mm=wide)
    for network, color in (colors or {}).items():
        if not mpl.colors.is_color_like(color):
            message = (
                f"The colour of {network!r} is {color!r}. Give a name or a code that matplotlib knows: '#0072B2'."
            )
            raise ValueError(message)
    tokens = _active.set(style), _wishes.set(_Wishes(colors or {}, labels or {}, tuple(order)))
    try:
        with _settings(settings_of(style)):
            yield style
    finally:
        _active.reset(tokens[0])
        _wishes.reset(tokens[1])


@contextmanager
def drawing(ax: Any = None) -> Iterator[FigureStyle]:
    """Give a plotting function the style to draw in: the block's, or that of the axes it draws on.

    Outside a `figure_style` block a function that makes its own figure draws it as for Nature; one that is given
    axes takes the type sizes matplotlib is set to, so that it fits the figure around it.
    """
    active = _active.get()
    if active is not None:
        yield active
    elif ax is None:
        with figure_style("nature") as style:
            yield style
    else:
        with _settings({"svg.fonttype": "none", "pdf.fonttype": 42}):
            yield _style_of_settings()


def settings_of(style: FigureStyle) -> dict[Any, Any]:
    """Return matplotlib's settings for a style.

    Text stays text in PDF and SVG. A machine that has neither Arial nor Helvetica takes Liberation Sans, which comes
    with the package: its letters are as wide as Arial's, so that no line breaks elsewhere.
    """
    return {
        "font.family": [usable_font()],
        "font.size": style.text_pt,
        "mathtext.fontset": "dejavusans",
        "axes.titlesize": style.text_pt,
        "axes.labelsize": style.text_pt,
        "axes.linewidth": 0.6 * style.line_pt,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#222222",
        "axes.axisbelow": True,
        "xtick.labelsize": style.small_pt,
        "ytick.labelsize": style.small_pt,
        "legend.fontsize": style.small_pt,
        "xtick.major.width": 0.6 * style.line_pt,
        "ytick.major.width": 0.6 * style.line_pt,
        "xtick.major.size": 0.35 * style.small_pt,
        "ytick.major.size": 0.35 * style.small_pt,
        "lines.linewidth": style.line_pt,
        "lines.markersize": 0.5 * style.small_pt,
        "legend.frameon": False,
        "figure.figsize": (style.double_mm / MM_PER_INCH, 0.45 * style.double_mm / MM_PER_INCH),
        "figure.dpi": 150,
        "savefig.dpi": 300,
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "savefig.facecolor": "white",
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        "axes.unicode_minus": True,
    }


@cache
def usable_font() -> str:
    """Return the font of figures: Arial or Helvetica where this machine has them, and else the package's own."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    if not installed & set(_FONTS):
        for file in sorted(_SHIPPED.glob("*.ttf")):
            font_manager.fontManager.addfont(file)
    return next(name for name in _FONTS if name in installed or name == _FONTS[-1])


def font_in_words() -> str:
    """Return which font text is set in, where this machine has none that journals ask for."""
    font = usable_font()
    first, second = _FONTS[:2]
    return "" if font in (first, second) else f"Text is set in {font}: this machine has neither {first} nor {second}."


@contextmanager
def _settings(values: dict[Any, Any]) -> Iterator[None]:
    """Set matplotlib's settings for a block, but leave it to the backend whether drawing is interactive.

    The backend is loaded with the first figure, perhaps in this block; Jupyter's then turns interactive drawing on,
    and shows no further figure if that is undone.
    """
    interactive = mpl.is_interactive()
    try:
        with mpl.rc_context(values):
            try:
                yield
            finally:
                interactive = mpl.is_interactive()
    finally:
        mpl.interactive(interactive)


def _style_of_settings() -> FigureStyle:
    width, height = (float(side) * MM_PER_INCH for side in mpl.rcParams["figure.figsize"])
    text = float(mpl.rcParams["font.size"])
    return FigureStyle("own", width / 2, width, height * 2, text, 0.85 * text, 0.7 * text, text / 7)


# in the order of the registry
_COLORS = ("#D07C00", "#A80F3C", "#63BDB4", "#2B78AC", "#18234F")
_MARKERS = ("o", "D", "^", "s", "v")
NETWORK_ORDER = tuple(NETWORKS)
# a network without a colour or mark of its own takes those of any other network
NETWORK_COLORS = dict(zip(NETWORKS, _COLORS, strict=False))
NETWORK_MARKERS = dict(zip(NETWORKS, _MARKERS, strict=False))
OTHER_COLORS = ("#8C6BB1", "#5A7D2A", "#A65628", "#D16BA5", "#6A6A6A")
OTHER_MARKERS = ("P", "X", "<", ">", "h")
# how the usual starts of weights are written
_STARTS = {
    "imagenet": "ImageNet", "vggface": "VGGFace", "vgg-face": "VGG-Face", "vggface2": "VGGFace2",
    "affectnet": "AffectNet",
}  # fmt: skip
HUMAN_COLOR = "#3A3A3A"
CEILING_COLOR = "#D9D9D9"
QUIET = "#6E6E6E"
RDM_COLORS = "viridis"


def in_order(networks: Iterable[str]) -> list[str]:
    """Return networks in the order every figure shows them: the five first, then others by name.

    Examples
    --------
    >>> in_order(["vgg16", "mine", "alexnet", "vgg16"])
    ['alexnet', 'vgg16', 'mine']
    """
    places = {name: place for place, name in enumerate(NETWORK_ORDER)}
    first = {name: place for place, name in enumerate(_wishes.get().order)}
    names = sorted({str(name) for name in networks})
    names.sort(key=lambda name: places.get(architecture_of(name), len(places)))
    return sorted(names, key=lambda name: first.get(name, first.get(architecture_of(name), len(first))))


def architecture_of(network: str) -> str:
    """Return which of the five networks a name stands for, or the name itself."""
    return network.split("/", 1)[0]


def network_colors(networks: Iterable[str]) -> dict[str, str]:
    """Return the colour of each network, the same in every figure.

    The five differ in lightness as well as in hue: in grayscale by 11 steps of CIE L* and more, and for readers with
    protan, deutan or tritan vision by 20 and more of CIELAB distance. Several networks of one architecture share
    its hue and grow paler.
    """
    names = in_order(networks)
    others = sorted({architecture_of(name) for name in names} - set(NETWORK_COLORS))
    base = NETWORK_COLORS | {name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, name in enumerate(others)}
    wanted = {name: colors.to_hex(color) for name, color in _wishes.get().colors.items()}
    base |= wanted
    shades = {}
    for name in names:
        kin = [other for other in names if architecture_of(other) == architecture_of(name)]
        shades[name] = paler(base[architecture_of(name)], 0.55 * kin.index(name) / len(kin))
    return shades | {name: wanted[name] for name in names if name in wanted}


def network_markers(networks: Iterable[str]) -> dict[str, str]:
    """Return the marker of each network, so that colour is never the only difference."""
    names = in_order(networks)
    others = sorted({architecture_of(name) for name in names} - set(NETWORK_MARKERS))
    # a sixth has the first colour again: its mark is the second, so that both are never the same
    number = len(OTHER_MARKERS)
    base = NETWORK_MARKERS | {name: OTHER_MARKERS[(i + i // number) % number] for i, name in enumerate(others)}
    return {name: base[architecture_of(name)] for name in names}


def network_label(network: str) -> str:
    """Return how a network is written for readers.

    Examples
    --------
    >>> network_label("fe_alexnet/imagenet/0"), network_label("vgg16/random"), network_label("mine")
    ('FE-AlexNet (ImageNet, seed 0)', 'VGG16 (random)', 'mine')
    """
    labels = _wishes.get().labels
    if network in labels:
        return labels[network]
    architecture, *rest = network.split("/")
    words = [f"seed {word}" if word.isdigit() else _STARTS.get(word.lower(), word) for word in rest]
    label = labels.get(architecture, NETWORKS[architecture].label if architecture in NETWORKS else architecture)
    return label + (f" ({', '.join(words)})" if words else "")


def paler(color: str, amount: float) -> str:
    """Return a colour mixed with white.

    Examples
    --------
    >>> paler("#000000", 0.5)
    '#808080'
    """
    red, green, blue = (1 - (1 - part) * (1 - amount) for part in colors.to_rgb(color))
    return colors.to_hex((red, green, blue))


def ink(color: str, *, dark: bool = False) -> str:
    """Return a colour for words on a white or dark page: a contrast of 4.5 to 1 (WCAG 2.2, AA), its hue kept."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*colors.to_rgb(color))
    paper, step = (0.0085, 0.02) if dark else (1.0, -0.01)
    rgb = colors.to_rgb(color)
    while _contrast(_luminance(rgb), paper) < 4.5:  # black and white, at the ends, have more
        lightness = min(max(lightness + step, 0.0), 1.0)
        rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
    return colors.to_hex(rgb)


def ink_on(color: str | tuple[float, float, float, float]) -> str:
    """Return black or white, whichever can be read on a colour: the contrast is 4.5 to 1 and more.

    Examples
    --------
    >>> ink_on("#F2F2F2"), ink_on("#B2182B")
    ('#000000', '#ffffff')
    """
    light = _luminance(colors.to_rgb(color))
    return "#000000" if _contrast(light, 0.0) >= _contrast(light, 1.0) else "#ffffff"


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def _luminance(rgb: tuple[float, float, float]) -> float:
    """Return how light a colour is on a screen, from 0 to 1 (WCAG 2.2)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

"""Draw identities from a seed: who a face is, told by shape alone."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from rsa_face.provenance import rng_from
from rsa_face.stimuli.expressions import neutral
from rsa_face.stimuli.head import eye_centres, phenotype, read_head, target, visible_points, without_ears

_SHAPES = tuple(f"head/head-{shape}" for shape in ("oval", "round", "rectangular", "square", "triangular", "diamond"))
_CHIN = (1.72, 1.95)  # how far below the eyes a chin may lie, in distances between the eyes: it must fill the oval
# What tells identities apart: the two ends of a target and the standard deviation it is drawn with (1 = its end).
# Left out on purpose: all that imitates an expression (corners of the mouth, slant of the brows, laugh lines).
_TRAITS: tuple[tuple[str, str, str, float], ...] = (
    ("head/head-fat", "decr", "incr", 0.15),
    ("head/head-scale-horiz", "decr", "incr", 0.25),
    ("head/head-scale-vert", "decr", "incr", 0.20),
    ("forehead/forehead-temple", "decr", "incr", 0.30),
    ("forehead/forehead-trans", "backward", "forward", 0.20),
    ("forehead/forehead-nubian", "decr", "incr", 0.20),
    ("eyebrows/eyebrows-trans", "down", "up", 0.18),
    ("eyebrows/eyebrows-trans", "backward", "forward", 0.20),
    ("eyes/*-eye-scale", "decr", "incr", 0.22),
    ("eyes/*-eye-trans", "in", "out", 0.10),
    ("eyes/*-eye-height2", "decr", "incr", 0.17),
    ("eyes/*-eye-push2", "in", "out", 0.15),
    ("eyes/*-eye-bag", "decr", "incr", 0.15),
    ("eyes/*-eye-epicanthus", "in", "out", 0.20),
    ("nose/nose-scale-horiz", "decr", "incr", 0.28),
    ("nose/nose-scale-vert", "decr", "incr", 0.25),
    ("nose/nose-scale-depth", "decr", "incr", 0.25),
    ("nose/nose-width1", "decr", "incr", 0.28),
    ("nose/nose-width2", "decr", "incr", 0.28),
    ("nose/nose-width3", "decr", "incr", 0.28),
    ("nose/nose-point", "down", "up", 0.20),
    ("nose/nose-hump", "decr", "incr", 0.25),
    ("nose/nose-volume", "decr", "incr", 0.22),
    ("nose/nose-base", "down", "up", 0.20),
    ("nose/nose-flaring", "decr", "incr", 0.20),
    ("nose/nose-curve", "concave", "convex", 0.22),
    ("nose/nose-trans", "down", "up", 0.18),
    ("mouth/mouth-scale-horiz", "decr", "incr", 0.24),
    ("mouth/mouth-scale-vert", "decr", "incr", 0.18),
    ("mouth/mouth-upperlip-height", "decr", "incr", 0.20),
    ("mouth/mouth-lowerlip-height", "decr", "incr", 0.18),
    ("mouth/mouth-cupidsbow", "decr", "incr", 0.28),
    ("mouth/mouth-trans", "down", "up", 0.15),
    ("mouth/mouth-philtrum-volume", "decr", "incr", 0.20),
    ("chin/chin-width", "decr", "incr", 0.28),
    ("chin/chin-height", "decr", "incr", 0.18),
    ("chin/chin-prominent", "decr", "incr", 0.22),
    ("chin/chin-bones", "decr", "incr", 0.20),
    ("chin/chin-cleft", "decr", "incr", 0.15),
    ("cheek/*-cheek-bones", "decr", "incr", 0.28),
    ("cheek/*-cheek-inner", "decr", "incr", 0.20),
    ("cheek/*-cheek-volume", "decr", "incr", 0.25),
)


@dataclass(frozen=True, eq=False)
class Identity:
    """A person who does not exist: a name, a sex and a neutral shape.

    Parameters
    ----------
    name : str
        ``face01`` and so on.
    sex : str
        ``female`` or ``male``: which of the two the shape leans to.
    shape : ndarray, shape (points, 3)
        The neutral head, in dm.
    """

    name: str
    sex: str
    shape: np.ndarray


def draw_identity(number: int, *, seed: int) -> Identity:
    """Draw the shape of an identity: ancestry, age, build and the traits of each feature.

    Identity 7 of a seed is the same whichever others are drawn. Odd numbers are female, even ones male. Skin and
    light are the same for all, so that an identity is told by shape alone.

    Parameters
    ----------
    number : int
        Which one, from 1.
    seed : int
        The seed of the set.

    Returns
    -------
    Identity
        Its neutral shape.

    Raises
    ------
    RuntimeError
        If 200 draws in a row leave a chin outside the oval the faces are shown in.
    """
    rng = rng_from(seed, "identity", number)
    male = number % 2 == 0
    head = read_head()
    plain = head.rest - phenotype(0.5, age=0.2, ancestry=np.full(3, 1 / 3))
    for _ in range(200):
        build = float(rng.uniform(0.35, 0.65))
        shape = plain + phenotype(
            0.85 if male else 0.10, age=float(rng.uniform(0, 0.35)), ancestry=rng.dirichlet([1.2] * 3), weight=build
        )
        shape += rng.uniform(0.1, 0.5) * target(str(rng.choice(_SHAPES)))
        for name, low, high, spread in _TRAITS:
            amount = float(np.clip(rng.normal(0, spread), -0.8, 0.8))
            shape += abs(amount) * target(f"{name}-{high if amount > 0 else low}")
        if _CHIN[0] < _chin_below_eyes(shape) < _CHIN[1]:
            return Identity(f"face{number:02d}", "male" if male else "female", without_ears(shape + neutral()))
    message = f"No shape drawn for identity {number} of seed {seed} fits the oval. Choose another seed."
    raise RuntimeError(message)


def _chin_below_eyes(shape: np.ndarray) -> float:
    eyes = eye_centres(shape)
    below = float(eyes[:, 1].mean() - shape[_chin_point(), 1])
    return below / float(np.linalg.norm(eyes[0] - eyes[1]))


@cache
def _chin_point() -> int:
    """Find the lowest point on the middle line of the average face's front."""
    head = read_head()
    front = visible_points(head) & (np.abs(head.rest[:, 0]) < 0.01) & (head.rest[:, 2] > 1.2)
    return int(np.flatnonzero(front)[np.argmin(head.rest[front, 1])])

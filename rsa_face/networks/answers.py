"""Which outputs of a network stand for sad and for happy."""

from rsa_face.networks.zoo import Network

ANSWERS = ("sad", "happy")


def answer_places(network: Network) -> tuple[int, int]:
    """Return which of a network's outputs stand for sad and for happy.

    Parameters
    ----------
    network : Network
        Any.

    Returns
    -------
    tuple of int
        Sad, happy.

    Raises
    ------
    ValueError
        If it has no such outputs, or more than two without names.
    """
    if not network.outputs and _width(network) == 2:
        return 0, 1
    lacking = [answer for answer in ANSWERS if answer not in network.outputs]
    if lacking:
        named = list(network.outputs) or f"{_width(network)} outputs without names"
        message = f"A network must have outputs for sad and happy to choose, but {network.name} has {named}."
        raise ValueError(message + " Train it for valence first.")
    return network.outputs.index("sad"), network.outputs.index("happy")


def _width(network: Network) -> int:
    biases = [value for name, value in network.module.named_parameters() if name.endswith("weight")]
    return int(biases[-1].shape[0])

"""A training's history in other programs' forms."""

from importlib import import_module
from pathlib import Path

import pandas as pd


def write_tensorboard(history: pd.DataFrame, folder: str | Path) -> Path:
    """Write the epochs of a training as TensorBoard shows them.

    Parameters
    ----------
    history : DataFrame, one row an epoch
        As `train_valence` returns it.
    folder : str or Path
        Where TensorBoard looks for it.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModuleNotFoundError
        If TensorBoard is not installed.
    """
    try:
        writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    except ModuleNotFoundError as error:
        message = "TensorBoard's log needs tensorboard, but it is not here: pip install 'rsa-face[tensorboard]'"
        raise ModuleNotFoundError(message) from error
    for row in history.to_dict("records"):
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(str(name), value, int(row["epoch"]))
    writer.close()
    return Path(folder)

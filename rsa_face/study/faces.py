"""The stimuli of a study: its table, and the masked copies that its occlusions ask for."""

from pathlib import Path

from rsa_face.files import write_beside
from rsa_face.stimuli.occlusion import occlude
from rsa_face.study.graph import Run


def mask_faces(run: Run) -> list[Path]:
    """Write a copy of each face for each region that is masked, and the table of all of them."""
    whole, section, folder = run.whole_stimuli, run.study.stimuli, run.folder / "stimuli"
    regions = [name for name in section.occlusion if name != "none"]
    occlude(whole, regions, folder, fill=section.fill)
    return [folder / "stimuli.csv", *(folder / f"{name}_{region}.png" for region in regions for name in whole.ids)]


def list_stimuli(run: Run) -> None:
    """Keep the table of all stimuli with the results."""
    with write_beside(run.folder / "stimuli.csv") as beside:
        run.stimuli.table.to_csv(beside, index=False)

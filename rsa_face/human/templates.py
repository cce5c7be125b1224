"""An example file of each kind, with a comment for each column, to fill with one's own trials."""

from dataclasses import dataclass

from rsa_face.schema import must_be_known


@dataclass(frozen=True)
class Template:
    """An example of one kind of file.

    Parameters
    ----------
    about : str
        What was judged, and what becomes of it.
    columns : dict of str to str
        Column -> what stands in it.
    rows : tuple of str
        The lines under the header.
    """

    about: str
    columns: dict[str, str]
    rows: tuple[str, ...]


_WHO = "who judged; any text, the same on all of one person's lines"
_TRIAL = "optional: a number of the trial, once for each participant; a repeated number is a fault"

TEMPLATES: dict[str, Template] = {
    "rdm": Template(
        "RDMs that exist already: one square for each participant. Also .npz, .npy, .mat, rsatoolbox .h5, netCDF.",
        {
            "participant": f"{_WHO}; leave the column out for a single RDM",
            "stimulus": "the row's stimulus id",
            "face_01": "dissimilarity of the row's stimulus and face_01: a column for each id, 0 on the diagonal",
            "face_02": "empty where a pair was never judged",
            "face_03": "lower and upper triangle must agree, or one of them be empty",
            "face_04": "and so on",
        },
        ("p01,face_01,0,0.4,0.9,0.8", "p01,face_02,0.4,0,0.7,0.5", "p01,face_03,0.9,0.7,0,0.2",
         "p01,face_04,0.8,0.5,0.2,0", "p02,face_01,0,0.3,0.8,0.9", "p02,face_02,0.3,0,,0.6",
         "p02,face_03,0.8,,0,0.1", "p02,face_04,0.9,0.6,0.1,0"),
    ),
    "rating": Template(
        "How different two stimuli are; the mean over repeats and both orders is the dissimilarity.",
        {
            "participant": _WHO,
            "stimulus_a": "id of the first stimulus",
            "stimulus_b": "id of the second stimulus",
            "rating": "a number; say what is high with option direction, and the ends with option scale",
            "trial": _TRIAL,
        },
        ("p01,face_01,face_02,2,1", "p01,face_03,face_01,6,2", "p01,face_02,face_03,5,3", "p01,face_02,face_01,3,4",
         "p02,face_01,face_02,1,1", "p02,face_01,face_03,7,2", "p02,face_03,face_02,4,3"),
    ),
    "triplet": Template(
        "Which of three is the odd one; dissimilarity is 1 - P(kept together | shown together).",
        {
            "participant": _WHO,
            "stimulus_1": "id of the first of the three",
            "stimulus_2": "id of the second",
            "stimulus_3": "id of the third",
            "odd": "id of the odd one; 0-2 or 1-3 with options odd=index and base; no such column with odd=column",
            "trial": _TRIAL,
        },
        ("p01,face_01,face_02,face_03,face_03,1", "p01,face_02,face_03,face_04,face_02,2",
         "p01,face_01,face_03,face_04,face_01,3", "p02,face_01,face_02,face_03,face_03,1",
         "p02,face_01,face_02,face_04,face_04,2", "p02,face_02,face_03,face_04,face_02,3"),
    ),
    "arrangement": Template(
        "Where stimuli were put on the screen, in many trials; also Meadows' .mat and .json files.",
        {
            "participant": _WHO,
            "trial": "the trial; all stimuli of one trial share it",
            "stimulus": "the id of one stimulus of the trial",
            "x": "where it was put, across; any unit, and option arena says how large the arena is in it",
            "y": "where it was put, upwards or downwards, in the same unit",
        },
        ("p01,1,face_01,0.1,0.2", "p01,1,face_02,0.2,0.2", "p01,1,face_03,0.9,0.7", "p01,2,face_01,0.1,0.1",
         "p01,2,face_02,0.8,0.9", "p02,1,face_01,0.3,0.1", "p02,1,face_02,0.5,0.1", "p02,1,face_03,0.6,0.9"),
    ),
    "confusion": Template(
        "Which name was given to which stimulus; stimuli are apart as responses are. Counts: option form=counts.",
        {
            "participant": _WHO,
            "stimulus": "id of the stimulus shown",
            "response": "the name it was given: a category, or another stimulus' id",
            "trial": _TRIAL,
        },
        ("p01,face_01,happy,1", "p01,face_02,happy,2", "p01,face_02,sad,3", "p01,face_03,sad,4",
         "p02,face_01,happy,1", "p02,face_02,sad,2", "p02,face_03,sad,3", "p02,face_01,sad,4"),
    ),
    "samediff": Template(
        "Same or different; dissimilarity is P(different), or d' where stimuli were also shown with themselves.",
        {
            "participant": _WHO,
            "stimulus_a": "id of the first stimulus",
            "stimulus_b": "id of the second; the same id for a same trial",
            "response": "same or different; other words with options same and different",
            "rt": "optional: the response time; read, not used",
            "trial": _TRIAL,
        },
        ("p01,face_01,face_02,different,0.61,1", "p01,face_01,face_03,different,0.55,2",
         "p01,face_02,face_03,same,0.90,3", "p01,face_01,face_01,same,0.52,4", "p02,face_01,face_02,same,0.71,1",
         "p02,face_01,face_03,different,0.48,2", "p02,face_02,face_03,different,,3"),
    ),
    "choice": Template(
        "Two-choice trials such as happy or sad; stimuli are apart as their probabilities of one answer are.",
        {
            "participant": _WHO,
            "stimulus": "id of the stimulus shown",
            "response": "one of two answers; the first of happy/sad, yes/no, 1/0 is counted, or option answer",
            "level": "optional: place on the morph, -1 sad to +1 happy; needed for option distance=curve",
            "occlusion": "optional: what was masked; --by occlusion gives one RDM for each value",
            "trial": _TRIAL,
        },
        ("p01,face_01,sad,-1,none,1", "p01,face_02,sad,0,none,2", "p01,face_02,happy,0,none,3",
         "p01,face_03,happy,1,none,4", "p02,face_01,sad,-1,none,1", "p02,face_02,happy,0,none,2",
         "p02,face_03,happy,1,none,3", "p02,face_03,happy,1,none,4"),
    ),
    "features": Template(
        "Each stimulus rated on several scales; stimuli are apart as their profiles of ratings are.",
        {
            "participant": _WHO,
            "stimulus": "id of the stimulus rated, once for each participant",
            "happy": "a rating; every further column is a scale unless option scales names them",
            "sad": "a rating; empty where it is missing: its pairs are then left out, and counted",
        },
        ("p01,face_01,4,0", "p01,face_02,2,1", "p01,face_03,0,4",
         "p02,face_01,3,0", "p02,face_02,2,2", "p02,face_03,1,3"),
    ),
}  # fmt: skip


def template_of(kind: str) -> str:
    """Return the text of an example file.

    Parameters
    ----------
    kind : str
        A kind that `read_human` knows.

    Returns
    -------
    str
        Comments (``# column: what stands in it``), a header and a few made-up lines, which `read_human` reads.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    must_be_known(kind, TEMPLATES, "kind")
    template = TEMPLATES[kind]
    said = [f"# {template.about}", "# The lines below are made up; replace them with your own.", "# simulated: true"]
    said += [f"# {name}: {what}" for name, what in template.columns.items()]
    return "\n".join([*said, ",".join(template.columns), *template.rows]) + "\n"

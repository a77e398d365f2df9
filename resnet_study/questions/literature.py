"""Published trainings as data: what others measured, and how well it is established.

Read from ``data/literature``, whose README says what each column means, how the rows were
gathered, and what they do not tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import pandas as pd

from resnet_study import paths
from resnet_study.errors import InputError

FAILED = 20.0  # percent on CIFAR-10: a higher error is a failed training, He et al. 2016, Table 1
ESTABLISHED_GROUPS = 5  # as many independent groups or more, all of one sign

DTYPES = {
    "group": "string",  # who trained it; two teams of one company are one group
    "source": "string",  # key in book/references.bib
    "family": "string",
    "net": "string",  # one name for one training, or for n that differ in their seed
    "setting": "string",  # what trainings share that are comparable
    "depth": "int64",  # layers with weights
    "parameters": "float64",  # millions; NaN: not told
    "data": "string",  # trained on
    "test_set": "string",
    "metric": "string",
    "crops": "Int64",  # of each test image; NA: not told
    "error": "float64",  # percent
    "bound": "bool",  # whether the error is only told to be higher than that
    "n": "Int64",  # trainings; NA: not told
    "statistic": "string",  # of the n errors
    "spread": "float64",  # points, standard deviation of the n errors
    "repository": "string",  # NA: a paper
    "place": "string",  # a file of the repository, or a table or section of the paper
    "commit": "string",
    "seen": "string",  # where it was read
    "note": "string",
}
TOLD = ("group", "source", "family", "net", "setting", "data", "test_set", "metric", "place")
CHOICES = {
    "metric": ("top-1 error",),
    "statistic": ("single", "mean", "median", "not told"),
    "seen": ("file", "paper"),
}
COMPARABLE = ["group", "source", "setting", "data", "test_set", "metric", "crops"]


class Grade(Enum):
    """How well the literature establishes a claim; the rule is that of :func:`grade`."""

    ESTABLISHED = "established"
    REPORTED_BY_FEW = "reported by few"
    REPORTED_ONCE = "reported once"
    CONTESTED = "contested"
    FALSE_IN_GENERAL = "known false in general"
    UNREPORTED = "not reported"


def load_literature(folder=paths.LITERATURE) -> pd.DataFrame:
    """All published trainings, one row a number; the columns are those of ``DTYPES``.

    Raises:
        InputError: for a file with other columns, and for a row without a source, a place or an
            error that can be read.
    """
    tables = [_load(path) for path in sorted(folder.glob("*.csv"))]
    if not tables:
        raise InputError(f"{folder} has no table; accepted: a folder of CSV files")
    return pd.concat(tables, ignore_index=True)


def _load(path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=DTYPES, true_values=["yes"], false_values=["no"])
    except (ValueError, TypeError) as problem:
        raise InputError(f"{path.name} cannot be read: {problem}") from problem
    if list(table) != list(DTYPES):
        raise InputError(f"{path.name} has columns {list(table)}; accepted: {list(DTYPES)}")
    sound = table[list(TOLD)].notna().all(axis=1) & table.error.between(0, 100)
    for column, accepted in CHOICES.items():
        sound &= table[column].isin(accepted)
    # A file of a repository is found by its commit, and no other place has one.
    sound &= table.repository.notna() == (table.seen == "file")
    sound &= table.repository.notna() == table.commit.notna()
    if not sound.all():
        raise InputError(f"{path.name}, line {sound.idxmin() + 2}: something is missing or unknown")
    return table


def pairs(table: pd.DataFrame, net: dict, reference: dict) -> pd.DataFrame:
    """Compare nets with a reference of the same source, setting, data, test set and crops.

    ``net`` and ``reference`` say which rows those are, such as ``{"family": "residual",
    "depth": 34}``. A net's error that is only told to be higher than something bounds the
    difference from below; references are those whose error is told.

    Returns:
        A table of one row a comparison, with the columns of ``COMPARABLE``, the net, its
        reference, their errors in percent, ``difference``, the net's error minus the reference's
        in points, and ``bound``, whether it is only known to be more.

    Raises:
        InputError: if a setting has several references.
    """
    nets, references = _select(table, net), _select(table, reference)
    references = references[~references.bound]
    repeated = references.duplicated(COMPARABLE)
    if repeated.any():
        names = ", ".join(references.net[repeated])
        raise InputError(f"several references in one setting ({names}); accepted: one")
    compared = nets[[*COMPARABLE, "net", "error", "bound"]].merge(
        references[[*COMPARABLE, "net", "error"]],
        on=COMPARABLE,
        suffixes=("", "_of_reference"),
    )
    return compared.assign(difference=compared.error - compared.error_of_reference)


def beyond(table: pd.DataFrame, limit: float = FAILED) -> pd.DataFrame:
    """``table`` with ``difference``, each error minus ``limit`` in points: negative is below it.

    Claims that a net trains at all have a limit instead of a reference.
    """
    return table.assign(difference=table.error - limit)


def grade(evidence: pd.DataFrame, sign: int, general: bool = False) -> Grade:
    """How well ``evidence`` establishes that differences have this ``sign``, 1 or −1.

    Groups are counted, not rows: a group is for the claim with one difference of that sign and
    against it with one of the other sign, whatever their size. In this order:

    - no group: *not reported*;
    - a claim about all nets, and two groups or more against it: *known false in general*;
    - a group against it: *contested*;
    - five groups or more for it: *established*; two to four: *reported by few*; one: *reported
      once*.

    Args:
        evidence: columns ``group``, ``difference`` and ``bound``, as of :func:`pairs` and
            :func:`beyond`.
        general: whether the claim is about all nets, so that examples refute it.
    """
    pro, contra = groups(evidence, sign), groups(evidence, -sign)
    if not pro and not contra:
        return Grade.UNREPORTED
    if general and len(contra) >= 2:
        return Grade.FALSE_IN_GENERAL
    if contra:
        return Grade.CONTESTED
    if len(pro) >= ESTABLISHED_GROUPS:
        return Grade.ESTABLISHED
    return Grade.REPORTED_ONCE if len(pro) == 1 else Grade.REPORTED_BY_FEW


def groups(evidence: pd.DataFrame, sign: int) -> list[str]:
    """The groups with a difference of that ``sign``, 1 or −1; columns as for :func:`grade`."""
    difference, bound = evidence.difference, evidence.bound
    match sign:
        case 1:
            found = (difference > 0) | (bound & (difference == 0))
        case -1:
            found = (difference < 0) & ~bound  # a bound from below leaves the sign open
        case _:
            raise InputError(f"sign {sign!r} is none; accepted: 1, -1")
    return sorted(set(evidence.group[found]))


def resnet_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """ResNet-34 against ResNet-18 trained on ImageNet, columns of :func:`pairs`."""
    residual = table[(table.data == "ImageNet-1k") & (table.family == "residual")]
    return pairs(residual, {"depth": 34}, {"depth": 18})


@dataclass(frozen=True)
class Statement:
    """What of a claim the literature can speak to: a sign of differences that are published."""

    claim: str
    text: str
    find: Callable[[pd.DataFrame], pd.DataFrame]  # a table of trainings to evidence
    sign: int
    general: bool = False  # about all nets, so that examples refute it


def _deep_residual_nets(table: pd.DataFrame) -> pd.DataFrame:
    residual = _select(table, {"family": "residual", "data": "CIFAR-10"})
    return beyond(residual[residual.depth >= 100])


def _plain_pairs(table: pd.DataFrame) -> pd.DataFrame:
    plain = _select(table, {"family": "plain", "data": "ImageNet-1k"})
    return pairs(plain, {"depth": 34}, {"depth": 18})


def _equal_sizes(table: pd.DataFrame) -> pd.DataFrame:
    deep = _select(table, {"depth": 34, "setting": "He et al. 2015, equal sizes"})
    return pairs(deep, {"family": "residual"}, {"family": "plain"})


def _highway_pairs(table: pd.DataFrame) -> pd.DataFrame:
    deep = _select(table, {"depth": 110})
    return pairs(deep, {"family": "highway"}, {"family": "residual"})


def _none(table: pd.DataFrame) -> pd.DataFrame:
    return beyond(table.iloc[:0])


STATEMENTS = (
    Statement("C1", "ResNets of 100 layers and more train", _deep_residual_nets, -1),
    Statement("C2", "plain nets of Fig. 2 fail because of their gradients", _none, 1),
    Statement("C3", "shortcuts by themselves keep gradients in balance", _none, 1),
    Statement("C4", "plain-34 has a higher error than plain-18", _plain_pairs, 1),
    Statement("C5", "ResNet-34 has a lower error than ResNet-18", resnet_pairs, -1),
    Statement("C6", "ResNet-34 of plain-34's size has a lower error", _equal_sizes, -1),
    Statement("C7", "a Highway net is at least as good as a ResNet", _highway_pairs, -1, True),
    Statement("C8", "a ResNet has a lower error than a Highway net", _highway_pairs, 1),
    Statement("C9", "a Highway net needs more data than a ResNet", _none, 1),
)


def graded(table: pd.DataFrame) -> pd.DataFrame:
    """One row a statement of ``STATEMENTS``: claim, statement, groups for, groups against, grade.

    ``grade`` holds a :class:`Grade`.
    """
    rows = []
    for statement in STATEMENTS:
        evidence, sign = statement.find(table), statement.sign
        rows.append(
            {
                "claim": statement.claim,
                "statement": statement.text,
                "groups for": len(groups(evidence, sign)),
                "groups against": len(groups(evidence, -sign)),
                "grade": grade(evidence, sign, statement.general),
            }
        )
    return pd.DataFrame(rows)


def _select(table: pd.DataFrame, wanted: dict) -> pd.DataFrame:
    chosen = pd.Series(True, table.index)
    for column, value in wanted.items():
        chosen &= table[column] == value
    return table[chosen]

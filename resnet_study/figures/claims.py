"""Tables of the claims: the front page, one claim by scale, and how often rules decide falsely."""

import pandas as pd

from resnet_study.questions.claims import Examined, Finding, in_words
from resnet_study.questions.lines import line
from resnet_study.questions.literature import graded, load_literature
from resnet_study.questions.registered import Reading
from resnet_study.questions.words import METRICS, POINTS, mean_and_interval


def front_table(found: dict[str, Examined], links: bool = True) -> pd.DataFrame:
    """One row a claim, cells in Markdown: what the post claims, the word for it, what we say."""
    rows = []
    for number, one in found.items():
        claim = one.claim
        rows.append(
            {
                "": f"[{number}](claim-{number.lower()})" if links else number,
                "The post claims": claim.text,
                "Verdict": f"**{one.verdict}**",
                "What we say": line(number, found),
            }
        )
    return pd.DataFrame(rows)


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """One row a finding: where, what it reads, whether it bears on the claim, and its numbers."""
    return pd.DataFrame(
        [
            {
                "Where": finding.where,
                "Reads": finding.answer,
                "p": "–" if pd.isna(finding.p) else _p(finding.p),
                "Of the claim": _bearing(finding),
                "What is missing": f"`{finding.command}`" if finding.command else "–",
                "What it rests on": in_words(finding) or "–",
            }
            for finding in findings
        ]
    ).pipe(_without_empty, "What is missing")


def _without_empty(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table.drop(columns=column) if (table[column] == "–").all() else table


def _bearing(finding: Finding) -> str:
    failed = [str(check) for check in finding.failed]
    return f"{finding.bearing}; not met: {', '.join(failed)}" if failed else str(finding.bearing)


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0005 else "below 0.001"


def literature_table(number: str) -> pd.DataFrame:
    """What of a claim others have published: the statement, groups for and against, the grade."""
    table = graded(load_literature())
    (row,) = table[table.claim == number].to_dict("records")
    return pd.DataFrame(
        [
            {
                "What others can say of it": row["statement"],
                "Groups for": str(row["groups for"]),
                "Groups against": str(row["groups against"]),
                "Grade": row["grade"].value,
            }
        ]
    )


def registered_table(readings: dict[str, Reading]) -> pd.DataFrame:
    """One row a registered measure: the difference with its tests, and what it reads."""
    return pd.DataFrame(
        [
            {
                "claim": claim,
                "difference": reading.measure.text,
                "error": METRICS[reading.measure.metric],
                "claimed": reading.measure.claimed,
                POINTS: mean_and_interval(reading.effect),
                "n": reading.effect.n,
                "p, Holm": "–" if pd.isna(reading.adjusted) else _p(reading.adjusted),
                "equivalence, p": "–" if pd.isna(reading.equivalence) else _p(reading.equivalence),
                "reads": reading.answer,
            }
            for claim, reading in sorted(readings.items())
        ]
    )


def rules_table(false_decisions: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.questions.simulation.false_decisions` as text."""
    share = false_decisions.share.map("{:.1%}".format).str.replace("%", " %")
    return false_decisions.assign(share=share).rename(columns={"false": "false to say"})


def coverage_table(coverage: pd.DataFrame) -> pd.DataFrame:
    """The table ``coverage`` of :func:`resnet_study.questions.simulation.measure` as text."""
    percent = {name: coverage[name].map("{:.0%}".format) for name in ("student", "percentile")}
    return pd.DataFrame(
        {
            "n": coverage.n,
            "Student's t": percent["student"].str.replace("%", " %"),
            "percentile bootstrap": percent["percentile"].str.replace("%", " %"),
        }
    )

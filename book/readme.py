"""What ``README.md`` shows of the records: the verdicts in short, and Fig. 2 on fifty classes.

As a program, ``python book/readme.py``, it renews both.
"""

import sys
from pathlib import Path

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.figures import claims as claims_figures
from resnet_study.figures import fig2, style
from resnet_study.files import write_atomically
from resnet_study.pipeline.frames import load_curves
from resnet_study.questions import claims, words
from resnet_study.questions.experiments import EXPERIMENTS

README = paths.ROOT / "README.md"
FIGURE = paths.ROOT / "book" / "fig2.svg"
MARKS = ("<!-- verdicts -->\n", "<!-- end of verdicts -->\n")


def with_verdicts(text: str, table: str) -> str:
    """``text`` with ``table`` in place of whatever stands between the two lines ``MARKS``.

    Raises:
        InputError: if it has no such lines.
    """
    start, end = MARKS
    if not -1 < text.find(start) < text.find(end):
        raise InputError(
            f"no place for verdicts; accepted: between {start.strip()} and {end.strip()}"
        )
    return f"{text.split(start)[0]}{start}\n{table}\n\n{end}{text.split(end)[1]}"


def renew(readme: Path = README, figure: Path = FIGURE) -> None:
    """Write table and figure anew, from the committed records."""
    text = with_verdicts(
        readme.read_text(encoding="utf-8"),
        words.markdown(claims_figures.front_table(claims.examine(), links=False)),
    )
    style.use_style()
    curves = load_curves(EXPERIMENTS["fig2"].records(recipe="tiny-imagenet-50"))
    drawn = fig2.fig2({"": style.long_curves(curves)})
    drawn.set_facecolor("white")  # a README may stand on a dark page, and is not ours to style
    style.save_svg(drawn, figure)
    write_atomically(readme, text.encode())


if __name__ == "__main__":
    try:
        renew()
    except InputError as error:
        sys.exit(str(error))

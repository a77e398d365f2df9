import pytest
import readme

from resnet_study.errors import InputError

pytestmark = pytest.mark.slow


def test_the_readme_shows_the_committed_records(tmp_path):
    text, figure = tmp_path / "README.md", tmp_path / "fig2.svg"
    text.write_text(readme.README.read_text())
    readme.renew(text, figure)
    assert text.read_text() == readme.README.read_text(), "run: python book/readme.py"
    assert figure.read_bytes() == readme.FIGURE.read_bytes(), "run: python book/readme.py"


def test_the_table_replaces_what_stands_between_its_marks():
    start, end = readme.MARKS
    text = f"before\n{start}old\n{end}after\n"
    assert readme.with_verdicts(text, "new") == f"before\n{start}\nnew\n\n{end}after\n"


@pytest.mark.parametrize("text", ["nothing", "{end}{start}", "{start}"])
def test_a_text_without_a_place_for_the_table_is_refused(text):
    start, end = readme.MARKS
    with pytest.raises(InputError, match="no place for verdicts"):
        readme.with_verdicts(text.format(start=start, end=end), "new")

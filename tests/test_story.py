"""The story keeps its limits: short pages, few numbers, one small table, and a way on."""

import re

import jupytext
import pytest
import yaml

from resnet_study import paths

pytestmark = pytest.mark.slow

CONTENTS = yaml.safe_load((paths.ROOT / "_toc.yml").read_text(encoding="utf-8"))
(STORY,) = (part for part in CONTENTS["parts"] if part["caption"] == "The story")
PAGES = [CONTENTS["root"], *(chapter["file"] for chapter in STORY["chapters"])]
LAYERS = {"18", "34", "110", "1,004", "10,000"}  # depths of nets are names
every_page = pytest.mark.parametrize("page", PAGES)


def _cells(page):
    source = paths.ROOT / f"{page}.py"
    if not source.exists():
        return [(paths.ROOT / f"{page}.md").read_text(encoding="utf-8")], []
    cells = jupytext.read(source).cells
    kinds = {"markdown": [], "code": []}
    for cell in cells:
        kinds[cell.cell_type].append(cell)
    return [cell.source for cell in kinds["markdown"]], kinds["code"]


def _prose(page):
    """The words of a page: no code, formulas, citations or addresses."""
    text = "\n".join(_cells(page)[0])
    for markup in (r"```.*?```", r"\{[\w:]+\}`[^`]*`", r"`[^`]*`", r"\$[^$]*\$"):
        text = re.sub(markup, " ", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


@every_page
def test_a_page_of_the_story_has_at_most_900_words(page):
    assert len(re.findall(r"\w+", _prose(page))) <= 900


@every_page
def test_a_page_of_the_story_has_at_most_six_numbers(page):
    names = r"\bFig\. 2\b|\bC\d\b|\b(19|20)\d\d\b|^\d\. "  # figure, claims, years, items
    text = re.sub(names, "", _prose(page), flags=re.MULTILINE)
    numbers = [n for n in re.findall(r"\d[\d,.]*", text) if n.rstrip(".,") not in LAYERS]
    assert len(numbers) <= 6, numbers


@every_page
def test_a_page_of_the_story_shows_no_code_and_one_table_at_most(page):
    _, code = _cells(page)
    for cell in code:
        tags = set(cell.metadata.get("tags", []))
        assert tags & {"remove-cell", "remove-input", "hide-input", "hide-cell"}, cell.source
    tables = sum("_table(" in cell.source or "sources.table(" in cell.source for cell in code)
    assert tables <= 1


@pytest.mark.parametrize(("page", "following"), [*zip(PAGES, PAGES[1:], strict=False)])
def test_a_page_of_the_story_leads_to_the_next(page, following):
    text = "\n".join(_cells(page)[0]) + "\n".join(cell.source for cell in _cells(page)[1])
    assert f"{following.split('/')[-1]}." in text


@every_page
def test_findings_on_a_page_of_the_story_are_sentences_that_test_themselves(page):
    _, code = _cells(page)
    told = [cell.source for cell in code if "Markdown(f" in cell.source]
    assert all("line(" in source or "answer(" in source for source in told)
    assert all("[Evidence" in source for source in told)  # one click away


@pytest.mark.parametrize("page", [page for page in PAGES if "story_open" not in page])
def test_a_page_of_the_story_answers_before_its_picture(page):
    """But for the last one, which asks."""
    if page == "book/try":
        assert "say what will happen" in _prose(page)  # the reader's answer
        return
    source = paths.ROOT / f"{page}.py"
    text = (source if source.exists() else source.with_suffix(".md")).read_text(encoding="utf-8")
    picture = text.find("```{live}") if "```{live}" in text else text.find("sources.figure(")
    assert 0 < text.find("**The answer.**") < picture

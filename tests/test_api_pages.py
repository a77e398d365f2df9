import ast
import importlib
import inspect
import re

import api_pages
import pytest

from resnet_study import paths

PAGES = sorted((paths.ROOT / api_pages.PAGES).glob("*.md"))
LIBRARY = paths.ROOT / "resnet_study"
every_module = pytest.mark.parametrize("module", api_pages.modules())


def _public(module):
    """Public functions and classes that a module defines, by name."""
    return {
        name: thing
        for name, thing in vars(importlib.import_module(module)).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module
    }


def test_modules_are_those_of_the_package():
    files = [path.relative_to(LIBRARY).with_suffix("") for path in LIBRARY.rglob("*.py")]
    names = {".".join(("resnet_study", *file.parts)).removesuffix(".__init__") for file in files}
    assert set(api_pages.modules()) == names - {"resnet_study", "resnet_study.__main__"}


def test_each_module_has_a_section_on_the_page_of_its_folder():
    shown = {}
    for page in PAGES:
        source = [page.read_text()]
        api_pages.add_modules(None, f"{api_pages.PAGES}{page.stem}", source)
        for module in re.findall(r"^\.\. automodule:: (.+)$", source[0], re.MULTILINE):
            assert module not in shown
            shown[module] = page.stem
    assert sorted(shown) == sorted(api_pages.modules())
    assert shown["resnet_study.models"] == shown["resnet_study.models.blocks"] == "models"
    assert shown["resnet_study.cli"] == "base"


def test_each_page_is_in_the_table_of_contents_and_in_the_overview():
    overview = (paths.ROOT / "book" / "api.md").read_text()
    contents = (paths.ROOT / "_toc.yml").read_text()
    assert len(PAGES) >= 6
    for page in PAGES:
        assert f"](api/{page.name})" in overview
        assert f"- file: {api_pages.PAGES}{page.stem}\n" in contents


@every_module
def test_every_public_name_has_a_docstring(module):
    things = {"the module": importlib.import_module(module), **_public(module)}
    for name, thing in list(things.items()):
        if inspect.isclass(thing):
            members = {key: value for key, value in vars(thing).items() if key[0] != "_"}
            things |= {
                f"{name}.{key}": value
                for key, value in members.items()
                if inspect.isfunction(value) or isinstance(value, property)
            }
    undescribed = [name for name, thing in things.items() if not (thing.__doc__ or "").strip()]
    # forward is torch's own method; what it does stands at its class.
    assert [name for name in undescribed if not name.endswith(".forward")] == []


def test_examples_of_the_overview_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(
        r"```python\n(.*?)```", (paths.ROOT / "book" / "api.md").read_text(), re.DOTALL
    )
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "book/api.md", "exec"), {})
    assert "validation_error" in capsys.readouterr().out


@every_module
def test_every_constant_is_on_a_page(module):
    """Also those that are annotated; none is assigned together with others, or in a loop."""
    code = inspect.getsource(importlib.import_module(module))
    assigned = {
        node.id
        for statement in ast.parse(code).body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    constants = {name for name in assigned if name.isupper() and not name.startswith("_")}
    assert constants <= api_pages.constants(code).keys()


CODE = """
from elsewhere import IMPORTED

# What is accepted.
# In two lines.
ACCEPTED = ("a", "b")
LONG = {
    1: 1,
    2: 2,
}
_PRIVATE = 1
Alias = list[int]
ANNOTATED: int = 3
DECLARED: int


def function():
    local = 1
"""


def test_constants_are_those_that_a_module_assigns_with_their_values_as_written():
    found = api_pages.constants(CODE)
    assert list(found) == ["ACCEPTED", "LONG", "Alias", "ANNOTATED"]
    assert found["ANNOTATED"][-1].strip() == "3"
    assert found["ACCEPTED"][-1].strip() == '("a", "b")'
    assert found["LONG"][-4:] == ["   {", "       1: 1,", "       2: 2,", "   }"]


def test_a_number_and_its_percent_sign_stay_together():
    lines = ["12.35 % error where", "``%-d`` and 5 %d"]
    api_pages.bind_percents(None, "module", "", None, None, lines)
    assert lines == ["12.35\N{NO-BREAK SPACE}% error where", "``%-d`` and 5 %d"]


def test_a_very_long_value_is_left_out(monkeypatch):
    monkeypatch.setattr(api_pages, "LONGEST", 3)
    found = api_pages.constants(CODE)
    assert found["LONG"] == []
    assert found["ACCEPTED"]

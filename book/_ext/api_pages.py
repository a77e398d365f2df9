"""The API pages of the book, one a folder of the package (a Sphinx extension).

A page gets a section for each module of its folder; ``base`` for those that lie in none.
Docstrings describe functions and classes. Constants and fields have comments instead, above them
or at the end of the line, and these are read as their descriptions.
"""

import ast
import importlib
import pkgutil
import re

from docutils import nodes

import resnet_study
from resnet_study import paths

PAGES = "book/api/"  # the folder of the API pages
BASE = "base"  # the page of the modules that lie in no folder
LONGEST = 20  # lines of a constant's value that a page shows


def modules() -> list[str]:
    """Names of all public modules of the library, ``resnet_study.models.networks`` and so on."""
    found = pkgutil.walk_packages(resnet_study.__path__, f"{resnet_study.__name__}.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def page_of(module: str) -> str:
    """The name of the page that a module is on: ``models`` for ``resnet_study.models.networks``."""
    folder = module.split(".")[1]
    return folder if (paths.PACKAGE / folder).is_dir() else BASE


def add_modules(app, docname: str, source: list[str]) -> None:
    """When an API page is read: a section for each module that is on it."""
    if not docname.startswith(PAGES):
        return
    for module in modules():
        if page_of(module) == docname.removeprefix(PAGES):
            name = module.rpartition(".")[2]
            source[0] += f"\n## {name}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n"


def describe_constants(app, environment, docnames: list[str]) -> None:
    """Before API pages are read: let autodoc see constants and fields, and their comments.

    Comments count as if they began with ``#:``. A constant is shown with its value as the code has
    it; a field's is in the signature of its class.
    """
    from sphinx.pycode import ModuleAnalyzer  # there where the book is built

    if not any(docname.startswith(PAGES) for docname in docnames):
        return
    for module in modules():
        analyzer = ModuleAnalyzer.for_module(module)
        values = constants(analyzer.code)
        analyzer.code = re.sub(r"(^|\s)# ", r"\1#: ", analyzer.code)
        analyzer.analyze()
        for name in analyzer.annotations.keys() | {("", name) for name in values}:
            analyzer.attr_docs.setdefault(name, [""])
        for name, lines in values.items():
            analyzer.attr_docs["", name] += lines


def constants(code: str) -> dict[str, list[str]]:
    """Public names that a module assigns at its top level, and their values as lines of reST."""
    found = {}
    for node in ast.parse(code).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if not name.startswith("_"):
                lines = ast.get_source_segment(code, value).splitlines()
                shown = [f"   {line}" for line in lines] if len(lines) <= LONGEST else []
                found[name] = ["", ".. code-block:: python", "", *shown] if shown else []
    return found


def keep_colons(app, what, name, described, options, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon for a type: ``3: the kernel of H``."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # a comment, so the first line has no colon


def bind_percents(app, what, name, described, options, lines: list[str]) -> None:
    """Keep a number and its percent sign on one line."""
    lines[:] = [re.sub(r"(?<=\d) %(?!\w)", "\N{NO-BREAK SPACE}%", line) for line in lines]


def drop_aliases(app, document) -> None:
    """Leave out autodoc's "alias of …", which repeats the value that is shown below it."""
    if app.env.docname.startswith(PAGES):
        for paragraph in list(document.findall(nodes.paragraph)):
            if paragraph.astext().startswith("alias of "):
                paragraph.parent.remove(paragraph)


def shorten_paths(app, what, name, described, options, signature: str | None, returns):
    """Show folders in the checkout without the path to it, and defaults that are made anew as …."""
    if signature is not None:
        signature = signature.replace(f"{paths.ROOT}/", "").replace("<factory>", "...")
    return signature, returns


def find_imported(app, environment, node, content):
    """A reference to a name that the module imports leads to where the name comes from."""
    module, name = node.get("py:module"), node["reftarget"]
    if node.get("refdomain") != "py" or not module:
        return None
    origin = getattr(getattr(importlib.import_module(module), name, None), "__module__", None)
    if origin in (None, module):
        return None
    return environment.get_domain("py").resolve_xref(
        environment,
        node["refdoc"],
        app.builder,
        node["reftype"],
        f"{origin}.{name}",
        node,
        content,
    )


def setup(app) -> dict:
    """What Sphinx calls; see ``extra_extensions`` in ``_config.yml``."""
    app.connect("env-before-read-docs", describe_constants)
    app.connect("source-read", add_modules)
    app.connect("autodoc-process-docstring", keep_colons, priority=100)  # before napoleon
    app.connect("autodoc-process-docstring", bind_percents)
    app.connect("autodoc-process-signature", shorten_paths)
    app.connect("doctree-read", drop_aliases)
    app.connect("missing-reference", find_imported)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

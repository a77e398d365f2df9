"""Building the book again after a change: what the change touches, and all of that.

A Sphinx extension. Sphinx knows which sources changed; it does not know that pages also show
records, files of the library, and numbers that other pages compute.
"""

from pathlib import Path

from sphinx.application import ENV_PICKLE_FILENAME

from resnet_study import paths

MADE_OF = ("book/_static", "book/_templates")  # what pages are made of, apart from their sources


def _others(app) -> dict[Path, tuple[int, int]]:
    """Time and size of the files besides the sources that pages are made of.

    Hidden ones make none; they are editors' locks, which are links to nowhere, and copies.
    """
    folders = [paths.ROOT / "resnet_study", *(Path(app.srcdir) / name for name in MADE_OF)]
    folders += [paths.RUNS, paths.MEASUREMENTS, paths.BENCHMARKS, paths.PAPER, paths.LITERATURE]
    files = ((folder, path) for folder in folders for path in folder.rglob("*.*"))
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for folder, path in files
        if path.exists() and not _is_left_out(path.relative_to(folder))
    }


def _is_left_out(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def read_again(app, env, added, changed, removed) -> list[str]:
    """Names of the pages to read besides those whose source changed: all, if others changed."""
    others = _others(app)
    if getattr(env, "study_others", None) == others:
        return []
    env.study_others = others
    return sorted(env.found_docs)


def _names(env) -> str:
    """What a page may say of others without naming their files: titles, labels, citations."""
    standard = env.domaindata["std"]
    titles = {name: title.astext() for name, title in sorted(env.titles.items())}
    labels = [sorted(standard[kind].items()) for kind in ("labels", "anonlabels")]
    equations = sorted(env.domaindata["math"]["objects"].items())
    cited = sorted(
        {(entry.key, entry.formatted_entry.label) for entry in env.domaindata["cite"]["citations"]}
    )
    return repr((titles, labels, equations, cited))


def remember_names(app, env, changed) -> None:
    """Keep what is from before the changed pages are read."""
    app.study_names, app.study_changed = _names(env), set(changed)


def write_again(app, env) -> list[str]:
    """Names of the pages to write besides those that were read: all, if they may be named anew.

    Otherwise those that name the file of one that changed, as each that shows its numbers does.
    """
    if _names(env) != app.study_names:
        return sorted(env.found_docs)
    files = {Path(env.doc2path(name)).name for name in app.study_changed}
    return sorted(
        name
        for name in env.found_docs - app.study_changed
        if any(file in Path(env.doc2path(name)).read_text(encoding="utf-8") for file in files)
    )


def forget_faults(app, exception) -> None:
    """Let the next build read everything if this one complained: it must complain again."""
    if exception or app._warncount:
        (Path(app.doctreedir) / ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def setup(app) -> dict:
    """What Sphinx calls; see ``extra_extensions`` in ``_config.yml``."""
    app.connect("env-get-outdated", read_again)
    app.connect("env-before-read-docs", remember_names)
    app.connect("env-updated", write_again)
    app.connect("build-finished", forget_faults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

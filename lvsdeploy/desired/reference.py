"""Writes pages of docs/reference from tables: `python -m lvsdeploy.desired.reference [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lvsdeploy.desired import features
from lvsdeploy.desired.keyword_table import BLOCKS, CHECKS
from lvsdeploy.desired.keyword_versions import OLDEST
from lvsdeploy.desired.keyword_words import WORDS
from lvsdeploy.desired.keywords import as_numbers, keywords
from lvsdeploy.state.distributions import DISTRIBUTIONS, PROGRAMS
from lvsdeploy.state.sysctl import ipvs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lvsdeploy.desired.keyword_table import Row
    from lvsdeploy.state.distributions import Distribution

_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
_DISTRIBUTIONS = """\
What lvsdeploy takes from each distribution. A host's row is found by `ID` of its `/etc/os-release`, then by
`ID_LIKE`. One that is in no row gets that of its package manager, with the warning LVS550. Which service
manager and which package manager a host has is read on the host itself."""
_SAVED = """\
With `engine: ipvsadm` the table is saved where the distribution's own package keeps it, and restored at boot
by the distribution's own unit."""


def distributions_page() -> str:
    """A table of the distributions: packages, paths, and the place of the saved IPVS table."""
    head = ["", *(row.name for row in DISTRIBUTIONS)]

    def line(title: str, cell: Callable[[Distribution], str]) -> list[str]:
        return [title, *(cell(row) for row in DISTRIBUTIONS)]

    packages = [line(f"package of `{p}`", lambda row, p=p: f"`{row.package(p)}`") for p in PROGRAMS]  # type: ignore[misc]
    about = [
        line("`ID` or `ID_LIKE`", lambda row: ", ".join(row.ids)),
        line("package manager", lambda row: ", ".join(f"`{m}`" for m in row.package_managers)),
        line("service manager", lambda row: row.service_manager.value),
        *packages,
        line("keepalived's service", lambda row: f"`{row.keepalived_unit}`"),
        line("its configuration", lambda row: f"`{row.keepalived_conf}`"),
        line("its options", lambda row: "`{}`, `{}`".format(*row.keepalived_options)),
        line("modules to load at boot", lambda row: f"`{row.modules_load}`"),
        line("sysctls to set at boot", lambda row: f"`{row.sysctl_d}`"),
    ]
    saved = [
        [row.name, f"`{t.path}`", f"`{t.unit}`", f"`{t.setting}` in `{t.switch}`" if t.switch else ""]
        for row in DISTRIBUTIONS
        if (t := row.saved_table) is not None
    ]
    return _page(
        "lvsdeploy/state/distributions.py",
        "# Distributions",
        _DISTRIBUTIONS,
        _table(head, about),
        "## The saved IPVS table",
        _SAVED,
        _table(["", "path", "restored by", "if there is"], saved),
        "## Sources",
        "\n".join(
            f"- {row.name}: {', '.join(f'<{source}>' for source in row.sources)}" for row in DISTRIBUTIONS
        ),
    )


_KEYWORDS = f"""\
Every keyword of keepalived.conf(5) that keepalived's own parsers know, block by block, at 2.2.7, 2.3.4 and
2.4.3: which key of the inventory writes it, what lvsdeploy writes by itself, and what it does not write, and
why. "Since" is empty for what keepalived {OLDEST} has; "built with" is what `keepalived --version` must name.
A director whose keepalived lacks what the inventory needs is told so before anything changes (LVS551)."""


def keepalived_page() -> str:
    """What is made of each keyword, a table a block."""
    parts = []
    for block in BLOCKS:
        parts += [f"## {_block_title(block)}", _table(_KEYWORD_HEAD, _keyword_rows(block))]
    parts += ["## Words that are no keywords", _WORDS, _table(("where", "words", "lvsdeploy"), _words())]
    return _page("lvsdeploy/desired/keyword_table.py", "# keepalived.conf", _KEYWORDS, *parts)


_KEYWORD_HEAD = ("keyword", "lvsdeploy", "since", "built with")


_WORDS = "What stands behind a keyword or in its block. In capitals: what stands for a value."


def _words() -> Iterator[tuple[str, ...]]:
    for where, rows in WORDS.items():
        for row in rows:
            place = where if where.startswith("In ") else f"`{where}`"
            yield place, ", ".join(f"`{name}`" for name in row.names.split()), _told(row)


def _told(row: Row) -> str:
    """What is made of a row's words."""
    if row.key:
        return ", ".join(f"`{key}`" for key in row.key.split(", "))
    return f"by itself: {row.own}" if row.own else f"not written: {row.refused}"


def _block_title(block: str) -> str:
    if not block:
        return "The file"
    if "*" in block:
        return f"`{block.removesuffix(' *')}`, each of {', '.join(f'`{check}`' for check in CHECKS)}"
    return f"`{block}`"


def _keyword_rows(block: str) -> Iterator[tuple[str, ...]]:
    """A row for keywords of which the same is to be said."""
    for row in BLOCKS[block]:
        told: dict[tuple[str, ...], list[str]] = {}
        for name in row.names.split():
            found = [
                keywords()[f"{block.replace('*', check)} {name}".lstrip()]
                for check in (CHECKS if "*" in block else ("*",))
            ]
            since = min((k.since for k in found), key=as_numbers)
            needs = frozenset.intersection(*(k.needs for k in found)) - _needs_of(block)
            cells = ("" if since == OLDEST else since, ", ".join(sorted(needs)))
            told.setdefault(cells, []).append(f"`{name}`")
        for versions, names in told.items():
            yield (", ".join(names), _told(row), *versions)


def _needs_of(block: str) -> frozenset[str]:
    """What is said of the block need not be said of each keyword in it."""
    return keywords()[block].needs if block in keywords() else frozenset()


_VERSIONS = """\
What needs more than the oldest keepalived, kernel or ipvsadm about. A director that lacks what its inventory
asks for is told so before anything changes, with the version needed: LVS551 (keepalived), LVS552 and LVS507
(kernel), LVS553 (ipvsadm).

What a kernel has is looked at in its modules and sysctls, where those tell, whatever its version. The rest
goes by the version, and is only a warning on RHEL and SUSE, which take features over into older kernels.

keepalived's keywords, each with its version, are on [a page of their own](keepalived.md)."""


def versions_page() -> str:
    """Since when keepalived, the kernel and ipvsadm have what an inventory can ask for."""
    values = {(v.what, v.since, ", ".join(sorted(v.options))): None for v in features.VALUES}
    by_version = {
        **{f"scheduler {name} (module ip_vs_{name})": since for name, since in features.SCHEDULERS.items()},
        **{f"sysctl {ipvs(name)}": since for name, since in features.SYSCTLS.items()},
        **features.KERNEL,
    }
    return _page(
        "lvsdeploy/desired/features.py",
        "# Versions",
        _VERSIONS,
        "## keepalived: values of keywords",
        _table(("what", "since", "built with"), values),
        "## The kernel",
        _table(("what", "since Linux"), by_version.items()),
        "## ipvsadm",
        _table(("what", "since"), features.IPVSADM.items()),
    )


def _page(source: str, *parts: str) -> str:
    told = f"<!-- Generated by `python -m lvsdeploy.desired.reference`; edit {source} instead. -->"
    return "\n\n".join((told, *parts)) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    return "\n".join(_lines([titles, ["---"] * len(titles), *rows]))


def _lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |"


PAGES = {
    "distributions.md": distributions_page,
    "keepalived.md": keepalived_page,
    "versions.md": versions_page,
}


def main(folder: Path = _FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))

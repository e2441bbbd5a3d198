"""What the documentation says is there: files, names, settings, commands, events, actions, links."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from dothi.cli import COMMANDS
from dothi.identity.model import Role
from dothi.identity.policy import MATRIX, Action
from dothi.kernel.i18n import t
from dothi.lake.model import Quality
from dothi.store.settings import VARIABLES
from dothi.work.model import Move

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "dothi"
READMES = (ROOT / "README.md", ROOT / "README.vi.md")
GUIDES = (DOCS / "user-guide.en.md", DOCS / "user-guide.vi.md")
SCREENSHOT = "docs/images/environment.png"
"""Made by the tests' browser, not written by hand."""
TWINS = pytest.mark.parametrize("twins", [READMES, GUIDES], ids=["readme", "user guide"])
TEXTS = sorted(
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "packs").rglob("*.md")],
)


# -- one hop from a question to the file ----------------------------------------------------------


def table(page: Path) -> list[list[str]]:
    """The cells of all table rows of a page, headings and rules left out."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [i for i, row in enumerate(rows) if all(re.fullmatch(r":?-+:?", c) for c in row)]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def plain(cell: str) -> str:
    """What stands in a cell's code mark."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    assert found is not None, f"{cell!r} is not one `name`"
    return found[1]


def questions() -> list[tuple[str, str, str]]:
    return [(row[0], plain(row[1]), plain(row[2])) for row in table(DOCS / "architecture.md")]


def defined(path: Path) -> set[str]:
    """The functions, classes and constants of a module; methods as `Class.method`."""
    names: set[str] = set()

    def gather(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(prefix + node.name)
            elif isinstance(node, ast.ClassDef):
                names.add(prefix + node.name)
                gather(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(
                    prefix + target.id for target in targets if isinstance(target, ast.Name)
                )

    gather(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return names


def test_thirty_questions_are_answered() -> None:
    asked = [question for question, *_ in questions()]
    assert len(asked) >= 30
    assert len(set(asked)) == len(asked)
    assert all(question.endswith("?") for question in asked)


@pytest.mark.parametrize(("question", "file", "name"), questions())
def test_the_file_named_holds_what_it_is_named_for(question: str, file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file(), f"{question} {file} is not there"
    if path.suffix == ".py":
        assert name in defined(path), f"{question} {file} defines no {name}"
    else:
        whole_word = rf"(?<![\w.]){re.escape(name)}(?!\w)"
        assert re.search(whole_word, path.read_text(encoding="utf-8")), f"{file} has no {name}"


# -- reference pages ------------------------------------------------------------------------------


def described(page: str) -> dict[str, list[str]]:
    """Name → the other cells of its row, for rows whose first cell is one `name`."""
    rows = [row for row in table(DOCS / page) if row[0].startswith("`")]
    names = [plain(row[0]) for row in rows]
    assert len(set(names)) == len(names), f"{page} describes something twice"
    return {name: row[1:] for name, row in zip(names, rows, strict=True)}


def said(cells: dict[str, list[str]]) -> set[str]:
    """Names whose description says something."""
    return {name for name, rest in cells.items() if any(cell.strip() for cell in rest)}


def trees() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def test_every_variable_is_described() -> None:
    inside = {
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"DOTHI_[A-Z_]+", node.value)
    }
    assert set(VARIABLES) <= inside
    assert said(described("settings.md")) == inside


def test_every_command_is_described() -> None:
    names = [f"dothi {command.name}" for command in COMMANDS]
    page = described("commands.md")
    assert [n for n in page if n.startswith("dothi ")] == names
    for command in COMMANDS:
        assert page[f"dothi {command.name}"][-1] == t(f"cli.help_{command.name}", "en")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_every_make_target_is_described() -> None:
    page = described("commands.md")
    assert {n.removeprefix("make ") for n in page if n.startswith("make ")} == targets()


def test_every_policy_action_is_described_with_who_may() -> None:
    page = described("policy.md")
    columns = list(Role)
    for action in get_args(Action):
        assert action in page, action
        scopes = [MATRIX[action][role].value for role in columns]
        assert page[action][1:] == scopes, action
        assert page[action][0]
    assert set(page) == {*get_args(Action)}


def test_every_quality_is_described() -> None:
    for guide in GUIDES:
        rows = [row for row in table(guide) if row[0].startswith("`")]
        words = {plain(row[0]) for row in rows}
        assert {q.name.lower() for q in Quality if q < Quality.WITHDRAWN} <= words, guide.name


class _Kinds(ast.NodeVisitor):
    """Kinds of events that a module writes: by `emit`, by `audit.record`, by SQL."""

    def __init__(self, constants: dict[str, str]) -> None:
        self.constants = constants
        self.found: set[str] = set()
        self.unclear: list[str] = []

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name in ("emit", "events.emit"):
            self._add(node.args[1], "")
        elif name == "audit.record":
            self._add(node.args[1], "audit.")
        self.generic_visit(node)

    def _add(self, kind: ast.expr, prefix: str) -> None:
        if isinstance(kind, ast.Constant):
            self.found.add(prefix + str(kind.value))
        elif isinstance(kind, ast.Name) and kind.id in self.constants:
            self.found.add(prefix + self.constants[kind.id])
        elif ast.unparse(kind) in ("f'work.{what}'", 'f"work.{what}"'):
            self.found.update(f"{prefix}work.{move}" for move in Move)
        elif ast.unparse(kind) != "PREFIX + action":  # audit.record itself
            self.unclear.append(ast.unparse(kind))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "INSERT INTO event (" in node.value:
            self.found.update(re.findall(r"'([a-z]+\.[a-z_.]+)'", node.value))


def written_kinds() -> set[str]:
    found: set[str] = set()
    for tree in trees():
        constants = {
            target.id: str(node.value.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        visitor = _Kinds(constants)
        visitor.visit(tree)
        assert not visitor.unclear, f"the kind of an event must be readable: {visitor.unclear}"
        found |= visitor.found
    return found


def test_every_kind_of_event_is_described() -> None:
    kinds = written_kinds()
    assert {"data.committed", "data.undone", "lake.closed", "work.opened"} <= kinds
    assert said(described("events.md")) == kinds


# -- the whole ------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def headings(page: Path) -> list[str]:
    return re.findall(r"^(#+ .+)$", prose(page), re.MULTILINE)


def anchor(heading: str) -> str:
    text = re.sub(r"[^\w\- ]", "", heading.lstrip("# ").strip().lower())
    return text.replace(" ", "-")


@TWINS
def test_both_languages_have_the_same_parts(twins: tuple[Path, Path]) -> None:
    first, second = twins
    levels = [[len(h.split(" ")[0]) for h in headings(page)] for page in twins]
    assert levels[0] == levels[1]
    code = [re.findall(r"```.*?```", p.read_text("utf-8"), re.DOTALL) for p in twins]
    assert len(code[0]) == len(code[1])
    assert f"({second.name})" in first.read_text(encoding="utf-8")
    assert f"({first.name})" in second.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, part = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if part:
            assert part in {anchor(h) for h in headings(path)}, f"{page.name}: {target}"


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted((DOCS / "adr").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for page in pages:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
        assert headings(page)[0].startswith(f"# {page.name[:4]}. "), page.name
    assert {page.name for page in pages} == set(
        re.findall(r"\(adr/([^)]+)\)", (DOCS / "architecture.md").read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("page", READMES, ids=lambda p: p.name)
def test_the_readme_begins_with_what_one_needs_and_shows_the_screen(page: Path) -> None:
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert "apt install make python3-venv" in lines[0]
    assert "xcode-select --install" in lines[0]
    assert "make run" in "\n".join(lines[:8])
    assert f"]({SCREENSHOT})" in page.read_text(encoding="utf-8")
    assert (ROOT / SCREENSHOT).read_bytes().startswith(b"\x89PNG")


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_changelog_has_a_part_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in headings(ROOT / "CHANGELOG.md")


def test_the_pack_names_every_file_it_holds() -> None:
    for pack in sorted(p.parent for p in (ROOT / "packs").glob("*/pack.yaml")):
        text = (pack / "README.md").read_text(encoding="utf-8")
        for file in sorted(p for p in pack.rglob("*") if p.is_file() and p.name != "README.md"):
            assert f"`{file.relative_to(pack).as_posix()}`" in text, file

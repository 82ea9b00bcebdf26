"""
The documents know every setting, every error code and every folder, and name nothing that is not there.
"""

from __future__ import annotations

import ast
import enum
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.service.protocols.attachments_api import uploads as content_range
from holdfast.service.protocols.native import resource as native
from holdfast.service.protocols.one_shot import group_avatar, group_picture
from holdfast.service.protocols.uploads import resumable, tus
from holdfast.service.settings import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
SETTINGS = (ROOT / "deploy" / "README.md").read_text()
PROTOCOLS = (ROOT / "service" / "protocols" / "README.md").read_text()
MAP = (ROOT / "CONTRIBUTING.md").read_text()
README_LINES = 200

DIALECTS = {
    "tus": tus.REFUSALS,
    "IETF draft": resumable.REFUSALS,
    "attachments API": content_range.REFUSALS,
    "native": native.REFUSALS,
    "group avatar": group_avatar.REFUSALS,
    "group picture": group_picture.REFUSALS,
}
REFUSALS = sorted({(name, refusal.status, refusal.code) for name, table in DIALECTS.items() for refusal in table.values()})
# Whose refusals of a request the rows of the last table name first.
SPEAKERS = {"uploads/tus.py": "tus", "uploads/resumable.py": "IETF draft", "attachments_api/uploads.py": "attachments API"}
# Not of this repository: what tools leave behind, and packages that scripts install.
FOREIGN = {"__pycache__", "node_modules"}
TOPS = ("service", "storage", "tests", "scripts", "deploy")


def _default(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _tables(*heads: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the head and the rows of each table of the protocols whose first column has one of these *heads*."""
    for table in re.findall(r"(?:^\|.*\n)+", PROTOCOLS, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        if head[0] in heads:
            yield head, rows


def _columns() -> Iterator[tuple[str, str]]:
    """Yield each cell that says what is wrong, with the dialect that its column is of: "native JSON" is `native`."""
    for head, rows in _tables("what is wrong"):
        for place, names in enumerate(head[1:], 1):
            for name in names.split(", "):
                for row in rows:
                    yield name.removesuffix(" JSON"), row[place]


DOCUMENTED = {(name, int(status), code) for name, cell in _columns() for status, code in re.findall(r"(\d{3}) `([^`]+)`", cell)}


def _protocol_errors() -> Iterator[tuple[str, int | None, str]]:
    """
    Yield where a ProtocolError is made, its status and its code; what a format string fills in is a pattern, and a status that
    is computed is None.
    """
    for path in sorted(ROOT.glob("service/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProtocolError":
                status = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                yield (
                    f"{path.relative_to(ROOT)}:{node.lineno}",
                    status if isinstance(status, int) else None,
                    _pattern(node.args[1]),
                )


def _pattern(code: ast.expr) -> str:
    """Return a regular expression for the values of *code*."""
    match code:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+" for part in parts)
    raise AssertionError(f"a code that is neither a text nor made of one: {ast.unparse(code)}")


def _folders() -> Iterator[str]:
    """Yield every folder that has a place on the map; folders of tests have the names of what they test."""
    for top in TOPS:
        for path in [ROOT / top, *sorted((ROOT / top).rglob("*"))][top == "service" :]:
            parts = path.relative_to(ROOT).parts
            if (
                path.is_dir()
                and not (top == "tests" and len(parts) > 2)
                and not FOREIGN & set(parts)
                and not any(part.startswith(".") for part in parts)
            ):
                yield "/".join(parts)


def _documents() -> list[Path]:
    """Return every document: those at the top, and those beside their subjects."""
    below = [path for top in TOPS for path in (ROOT / top).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *(path for path in below if not FOREIGN & set(path.parts))])


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_settings(name: str) -> None:
    """Every setting stands in the table, with its default and its meaning."""
    field = Settings.model_fields[name]
    default = _default(field.default)
    row = f"| `HOLDFAST_{name.upper()}` | {f'`{default}`' if default else ''} | {field.description} |"

    assert re.sub(r"\s+", " ", row) in re.sub(r"[ \t]+", " ", SETTINGS)


def test_no_other_settings() -> None:
    """No document names a setting that does not exist."""
    named = {name for path in _documents() for name in re.findall(r"HOLDFAST_([A-Z0-9_]+)", path.read_text())}

    assert {name.upper() for name in Settings.model_fields} >= named


@pytest.mark.parametrize(("dialect", "status", "code"), REFUSALS, ids=[f"{name}: {code}" for name, _, code in REFUSALS])
def test_refusals(dialect: str, status: int, code: str) -> None:
    """Every refusal of the rules stands in the table, in the column of its dialect, with its status."""
    assert (dialect, status, code) in DOCUMENTED


def test_no_other_refusals() -> None:
    """No column names a refusal that its dialect does not have."""
    assert set() == DOCUMENTED - set(REFUSALS)


@pytest.mark.parametrize(("where", "status", "pattern"), list(_protocol_errors()))
def test_protocol_errors(where: str, status: int | None, pattern: str) -> None:
    """Every refusal of a grammar stands in a table, in a row of its status, and of its dialect where a row is of one."""
    dialect_of = SPEAKERS.get("/".join(Path(where.partition(":")[0]).parts[-2:]))
    documented = {
        code
        for _, rows in _tables("status")
        for statuses, codes in rows
        if (status is None or str(status) in statuses.split(", ")) and _may_be_of(codes, dialect_of)
        for code in re.findall(r"`([A-Za-z][A-Za-z0-9_-]+)`", codes)
    }

    assert any(re.fullmatch(pattern, code) for code in documented)


def _may_be_of(row: str, dialect_of: str | None) -> bool:
    """Say whether a row of the last table has codes of *dialect_of*: it is of no dialect, or of that one."""
    label = row.partition(":")[0]
    return label not in SPEAKERS.values() or dialect_of in (label, None)


@pytest.mark.parametrize("folder", list(_folders()))
def test_folders(folder: str) -> None:
    """Every folder stands on the map."""
    assert f"`{folder}/`" in MAP


def test_the_readme_is_short() -> None:
    """What somebody reads first is read at once; long tables stand beside their subjects."""
    assert README_LINES >= len(README.read_text().splitlines())


@pytest.mark.parametrize("path", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_documents_name_is_there(path: Path) -> None:
    """Files, folders and documents that a document names exist, by their path from the top of the repository."""
    text = path.read_text()
    named = set(re.findall(rf"`((?:{'|'.join(TOPS)})/[\w./-]*)`", text)) | set(re.findall(r"(?<![\w./`])([\w/]+\.md)\b", text))

    assert [] == sorted(name for name in named if not (ROOT / name).exists())


def test_links_of_the_readme_are_paths() -> None:
    """A link says the path that it leads to, which helps where README.md is shown alone, as the text of the wheel."""
    links = re.findall(r"\[([^]]+)\]\((?!https?://)([^)]+)\)", README.read_text())

    assert links
    assert [] == [target for words, target in links if target not in {words, "LICENSE"}]
    assert [] == [target for _, target in links if not (ROOT / target).is_file()]


def test_every_document_is_found() -> None:
    """README.md leads to every other document."""
    named = README.read_text()

    assert [] == [
        str(path.relative_to(ROOT)) for path in _documents() if path != README and f"({path.relative_to(ROOT)})" not in named
    ]


@pytest.mark.parametrize("what", ["a dialect", "a store", "a slot type", "a setting"])
def test_how_to_add(what: str) -> None:
    """What is added most often takes five steps."""
    steps = MAP.split(f"\n## How to add {what}\n")[1].split("\n## ")[0]

    assert ["1", "2", "3", "4", "5"] == re.findall(r"^(\d)\. ", steps, re.MULTILINE)


def test_a_commit_is_checked_by_the_script() -> None:
    """The hook of pre-commit runs the one command that checks, which is there."""
    (entry,) = re.findall(r"^ *entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)

    assert "scripts/check" == entry
    assert os.access(ROOT / entry, os.X_OK)

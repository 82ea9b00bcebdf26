"""
The fields that the service reads and writes, as its source tells: what a dialect begins to use is known here at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SERVICE = Path(__file__).parents[2] / "service"
FLOORS = ("accounts", "asgi", "protocols")
# What is tested, documents that name fields without using them, and what others answer to this service.
OTHERS = {"cors.py", "openapi", "asking.py", "webhook.py"}
FIELD_HOLDERS = ("fields", "headers", "request")

_READ = re.compile(r"[a-z]+(?:-[a-z]+)*")
# Not the names of methods and algorithms.
_WRITTEN = re.compile(r"(?=.*[a-z])[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*")


def read_fields() -> frozenset[str]:
    """Return the names, in lower case, of all request fields that something asks for; there may be other words among them."""
    return frozenset(text for tree in _trees() for text in _asked(tree) if _READ.fullmatch(text))


def written_fields() -> frozenset[str]:
    """Return the names of all fields that stand in a response: first of a pair, as all of them are written."""
    return frozenset(
        pair.elts[0].value
        for tree in _trees()
        for pair in ast.walk(tree)
        if isinstance(pair, ast.Tuple)
        and len(pair.elts) == len(("name", "value"))
        and isinstance(pair.elts[0], ast.Constant)
        and isinstance(pair.elts[0].value, str)
        and _WRITTEN.fullmatch(pair.elts[0].value)
    )


def _trees() -> Iterator[ast.Module]:
    for floor in FLOORS:
        for path in sorted((SERVICE / floor).rglob("*.py")):
            if not OTHERS & set(path.parts):
                yield ast.parse(path.read_text())


def _asked(tree: ast.Module) -> Iterator[str]:
    """Yield the texts by which *tree* asks for something: of fields, of a request, of all that stands in a list."""
    constants: dict[str, ast.expr] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=constant)], value=value):
                constants[constant] = value
    for found in ast.walk(tree):
        asked: list[ast.expr] = []
        match found:
            case ast.Call(func=ast.Attribute(value=holder, attr="get" | "pop"), args=[name, *_]) if _holds_fields(holder):
                asked = [name]
            case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[holder]) if _holds_fields(holder):
                asked = [name]
            case ast.Subscript(value=holder, slice=name) if _holds_fields(holder):
                asked = [name]
            # Of what stands in lists, or is given to whoever is given a request as well, only what has a hyphen is a field.
            case ast.Call(args=arguments) if any(map(_holds_fields, arguments)):
                yield from (text for argument in arguments for text in _texts(argument, constants) if "-" in text)
            case ast.comprehension(iter=names) | ast.For(iter=names):
                yield from (text for text in _texts(names, constants) if "-" in text)
        for expression in asked:
            yield from _texts(expression, constants)


def _holds_fields(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in FIELD_HOLDERS


def _texts(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) if name in constants:
            yield from _texts(constants[name], {})
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Call(args=parts):
            for part in parts:
                yield from _texts(part, constants)

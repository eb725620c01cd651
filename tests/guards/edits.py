"""How a guard is taken out of source text: found by the name of its function, not by its wording.

An edit is told a part of a statement or a condition, as `ast.unparse` writes it, which knows neither
comments nor line breaks.  A short part is best: the name of what is called, as a rule.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Edit = Callable[[ast.Module, str], ast.Module]
"""Changes a module; the text names a function or a class in it, "" the whole.

Raises LookupError where it finds nothing to change.
"""

SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Raise)
CONDITIONAL = (ast.If, ast.IfExp, ast.While)
NOWHERE = "there is no {!r} in {!r}"


def source_without(source: str, where: str, edit: Edit) -> str:
    """The source text after the edit. Raises LookupError where that has nothing to change."""
    return ast.unparse(ast.fix_missing_locations(edit(ast.parse(source), where)))


def found(module: ast.Module, where: str) -> Any:
    """The function or class of this qualified name."""
    node: Any = module
    for name in filter(None, where.split(".")):
        inside = (one for one in _definitions(node) if one.name == name)
        node = next(inside, None)
        if node is None:
            raise LookupError(f"there is no function or class {where!r}")
    return node


def _definitions(node: ast.AST) -> Iterator[Any]:
    for one in getattr(node, "body", []):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one


@dataclass(frozen=True)
class instead:
    """This stands in for the whole function, as a lambda."""

    stand_in: str

    def __call__(self, module: ast.Module, where: str) -> ast.Module:
        found(module, where)
        module.body += ast.parse(f"{where} = {self.stand_in}").body
        return module


@dataclass(frozen=True)
class without:
    """Simple statements in which this stands are left out."""

    part: str

    def __call__(self, module: ast.Module, where: str) -> ast.Module:
        return _changed(module, where, self.part, SIMPLE, lambda _: ast.Pass())


@dataclass(frozen=True)
class never:
    """Conditions in which this stands never hold."""

    part: str
    holds = False

    def __call__(self, module: ast.Module, where: str) -> ast.Module:
        def fixed(node: Any) -> Any:
            node.test = ast.Constant(self.holds)
            return node

        return _changed(module, where, self.part, CONDITIONAL, fixed, lambda node: node.test)


class always(never):
    """Conditions in which this stands hold whatever comes."""

    holds = True


@dataclass(frozen=True)
class catching:
    """Its `except` clauses catch this alone."""

    kind: str

    def __call__(self, module: ast.Module, where: str) -> ast.Module:
        def narrowed(node: Any) -> Any:
            node.type = ast.Name(self.kind)
            return node

        return _changed(module, where, "", (ast.ExceptHandler,), narrowed)


@dataclass(frozen=True)
class turned:
    """An expression is another one."""

    part: str
    other: str

    def __call__(self, module: ast.Module, where: str) -> ast.Module:
        def replaced(node: Any) -> Any:
            return ast.parse(self.other, mode="eval").body if ast.unparse(node) == self.part else node

        return _changed(module, where, self.part, (ast.expr,), replaced, exact=True)


def _changed(
    module: ast.Module,
    where: str,
    part: str,
    kinds: tuple[type[ast.AST], ...],
    change: Callable[[Any], Any],
    looked_at: Callable[[Any], ast.AST] = lambda node: node,
    exact: bool = False,
) -> ast.Module:
    """Nodes of these kinds in which the part stands, changed; LookupError if there is none."""
    count = 0

    class Changer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            nonlocal count
            self.generic_visit(node)
            if isinstance(node, kinds):
                text = ast.unparse(looked_at(node))
                if text == part if exact else part in text:
                    count += 1
                    return change(node)
            return node

    place = found(module, where)
    Changer().generic_visit(place)
    if not count:
        raise LookupError(NOWHERE.format(part, where))
    return module

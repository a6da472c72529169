"""The small changes that the mutation tool makes: one at a time, to the bodies of functions, found in the syntax tree."""

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).parents[2] / "layers/email_handler/python/email_handler"

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_NEGATED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)  # changing these negates a test already
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_NOT_CODE = {"annotation", "returns", "type_params", "decorator_list", "type_comment"}
_OPERATORS = re.compile(r"( AND | OR )")  # of DynamoDB's condition expressions

type _Edit = tuple[list[ast.AST] | ast.AST, str | int, ast.AST]
"""Where a new node goes: the parent or the list, the field or the place in the list, and the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change to one function. ``apply`` makes it in the tree, for good: only in a process of its own."""

    file: str  # below the package
    function: str  # qualified name
    line: int
    text: str  # the line as written, without indentation
    change: str  # for people, and for the list of equivalent mutants
    lines: range  # tests that run one of these lines can notice
    tree: ast.Module = field(repr=False)
    edits: Sequence[_Edit] = field(repr=False)

    @property
    def module(self) -> str:
        """Return the name of the module."""
        return "email_handler." + self.file.removesuffix(".py").replace("/", ".")

    def apply(self) -> CodeType:
        """Return the module's code with this change."""
        for parent, place, node in self.edits:
            if isinstance(parent, list):
                assert isinstance(place, int)
                parent[place] = node
            else:
                setattr(parent, str(place), node)
        return compile(ast.fix_missing_locations(self.tree), str(PACKAGE / self.file), "exec", dont_inherit=True)


def mutants(path: Path, root: Path = PACKAGE) -> Iterator[Mutant]:
    """Yield every mutant of the file *path* in the order of the text."""
    source = path.read_text()
    tree = ast.parse(source)
    lines = source.splitlines()
    seen: Counter[tuple[int, str]] = Counter()
    for name, function in functions(tree):
        for statement, change, edits in _in_function(function):
            at = getattr(edits[0][2], "lineno", statement.lineno)
            seen[at, change] += 1
            yield Mutant(
                file=path.relative_to(root).as_posix(),
                function=name,
                line=at,
                text=lines[at - 1].strip(),
                change=change if seen[at, change] == 1 else f"{change} (number {seen[at, change]} of the line)",
                lines=_header(statement),
                tree=tree,
                edits=edits,
            )


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions and methods of a module with their qualified names; nested ones belong to their outer one."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not any(ast.unparse(base) == "Protocol" for base in node.bases):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.FunctionDef))


def _header(statement: ast.stmt) -> range:
    """Return the lines of *statement* without the statements in it; for a function's defaults, the whole function."""
    if isinstance(statement, ast.FunctionDef):
        return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    body = getattr(statement, "body", None)
    end = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno
    return range(statement.lineno, end + 1)


def _in_function(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, str, Sequence[_Edit]]]:
    """Yield statement, description and edits of each change in *function*'s body."""
    pending: list[tuple[ast.stmt, ast.AST]] = [(function, function)]
    while pending:
        statement, node = pending.pop(0)
        for name, value in ast.iter_fields(node):
            if name in _NOT_CODE or isinstance(node, ast.Assert | ast.arguments):
                continue
            children = value if isinstance(value, list) else [value]
            if isinstance(value, list):
                yield from _swaps(value)
            for place, child in enumerate(children):
                if not isinstance(child, ast.AST):
                    continue
                inner = child if isinstance(child, ast.stmt) else statement
                pending.append((inner, child))
                for change, new in _replacements(child):
                    ast.copy_location(new, child)
                    edit: _Edit = (value, place, new) if isinstance(value, list) else (node, name, new)
                    yield inner, change, [edit]


def _swaps(body: list[ast.AST]) -> Iterator[tuple[ast.stmt, str, Sequence[_Edit]]]:
    """Yield the exchange of each two neighbouring calls of which the second does not need the first's result."""
    for place, (one, two) in enumerate(pairwise(body)):
        if _calls(one) and isinstance(one, ast.Expr) and _calls(two):
            assert isinstance(two, ast.stmt)
            new = [copy.copy(two), copy.copy(one)]
            change = f"in reverse order: {_short(one)} / {_short(two)}"
            yield one, change, [(body, place, new[0]), (body, place + 1, new[1])]


def _calls(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Call)


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield a description and a node for each change of *node* itself."""
    kinds = (_conditions, _comparisons, _constants, _expressions, _statements)
    for what, new in chain.from_iterable(kind(node) for kind in kinds):
        yield what or f"{_short(node)} -> {_short(new)}", new


def _conditions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.If() | ast.While() | ast.IfExp() if not _negates(node.test):
            new = copy.copy(node)
            new.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            yield f"{_short(node.test)} -> {_short(new.test)}", new
        case ast.BoolOp():
            for place, value in enumerate(node.values):
                rest = [*node.values[:place], *node.values[place + 1 :]]
                yield (
                    f"{_short(node)} without {_short(value)}",
                    rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest),
                )
        case ast.UnaryOp(op=ast.Not()):
            yield "", copy.copy(node.operand)
        case ast.comprehension():
            for place, test in enumerate(node.ifs):
                fewer_ifs = [*node.ifs[:place], *node.ifs[place + 1 :]]
                yield f"without if {_short(test)}", ast.comprehension(node.target, node.iter, fewer_ifs, node.is_async)
        case ast.match_case(guard=ast.expr() as guard):
            yield f"without if {_short(guard)}", ast.match_case(node.pattern, None, node.body)


def _comparisons(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if not isinstance(node, ast.Compare):
        return
    for place, op in enumerate(node.ops):
        new_ops = [*node.ops[:place], _OPPOSITE[type(op)](), *node.ops[place + 1 :]]
        yield "", ast.Compare(node.left, new_ops, node.comparators)
    known = node.comparators[0]
    if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(known, ast.Tuple | ast.Set | ast.List):
        for place in range(len(known.elts)):
            fewer = copy.copy(known)
            fewer.elts = [*known.elts[:place], *known.elts[place + 1 :]]
            yield "", ast.Compare(node.left, node.ops, [fewer])


def _negates(test: ast.expr) -> bool:
    """Return whether another change negates *test* already."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], _NEGATED)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _constants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Constant(value=bool(value)):
            yield "", ast.Constant(not value)
        case ast.Constant(value=int(number)):
            yield "", ast.Constant(number + 1)
        case ast.Constant(value=str(text)) if _OPERATORS.search(text) and "#" in text:
            parts = _OPERATORS.split(text)
            for place in range(0, len(parts), 2):
                rest = parts[:place] + parts[place + 2 :] if place + 2 < len(parts) else parts[: place - 1]
                if parts[place].strip():
                    yield "", ast.Constant("".join(rest))


def _expressions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _EXCHANGED:
            new = copy.copy(node)
            new.func = ast.copy_location(ast.Name(_EXCHANGED[name], ast.Load()), node.func)
            yield "", new
        case ast.Call(func=ast.Name(id="replace")):
            for place, keyword in enumerate(node.keywords):
                new = copy.copy(node)
                new.keywords = [*node.keywords[:place], *node.keywords[place + 1 :]]
                yield f"replace(...) without {_short(keyword)}", new
        case ast.Slice():
            for bound in ("lower", "upper"):
                if getattr(node, bound) is not None:
                    new_slice = copy.copy(node)
                    setattr(new_slice, bound, None)
                    yield f"[{_short(node)}] -> [{_short(new_slice)}]", new_slice
        case ast.BinOp(op=ast.Add() | ast.BitOr()):
            yield from (("", copy.copy(one)) for one in (node.left, node.right))
        case ast.BinOp(op=ast.Sub()):
            yield "", copy.copy(node.left)


def _statements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Raise():
            yield f"dropped: {_short(node)}", ast.Pass()
        case ast.arguments():  # the defaults of keywords
            for place, default in enumerate(node.kw_defaults):
                if isinstance(default, ast.Constant) and isinstance(default.value, bool):
                    new = copy.copy(node)
                    new.kw_defaults = [*node.kw_defaults]
                    new.kw_defaults[place] = ast.copy_location(ast.Constant(not default.value), default)
                    yield f"default of {node.kwonlyargs[place].arg}: {not default.value}", new


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())

"""Finds the codes of problems and field errors in a package's sources, with the names in their contexts."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias

_PROBLEMS = {"Problem": 2, "DomainError": 1}
"""Calls that create problems, with the position of the sentence among their arguments."""
_FIELDS = {"FieldError": 1, "RuleError": 1}
_ALWAYS = {"invalid-fields": frozenset({"fields"})}
"""Contexts that the problem document creates itself."""
_REASON = frozenset({"reason", "values"})
"""The names that ``reason_of`` returns."""

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Refusal(NamedTuple):
    """A code and the names in its context; ``None`` if the sources do not show them."""

    code: str | None
    keys: frozenset[str] | None
    status: int | None
    place: str


class _Bound(NamedTuple):
    """An expression, its enclosing function, and the values of the function's parameters."""

    node: ast.expr
    function: _Function | None
    given: Mapping[str, "_Bound"]


@dataclass
class _Module:
    path: Path
    constants: Mapping[str, str]
    tree: ast.Module

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def calls(self) -> Sequence[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def function_of(self, node: ast.AST) -> _Function | None:
        functions = (found for found in self._around(node) if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef))
        return next(functions, None)

    def uses(self, function: _Function | None, levels: int = 2) -> Iterator[Mapping[str, _Bound]]:
        """Yield the arguments of each call in the module as values of a function's parameters.

        Without calls, the values are unknown.

        :param levels: maximum depth of callers to follow.
        """
        found = False
        for call in self.calls:
            if function is not None and _name(call) == function.name:
                names = [argument.arg for argument in function.args.args if argument.arg != "self"]
                given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords}
                caller = self.function_of(call)
                for outer in self.uses(caller, levels - 1) if levels else [{}]:
                    found = True
                    yield {name: _Bound(value, caller, outer) for name, value in given.items() if name is not None}
        if not found:
            yield {}

    def meanings(self, bound: _Bound) -> Iterator[_Bound]:
        """Yield the expressions that an expression may stand for."""
        node, function, given = bound
        if isinstance(node, ast.IfExp):
            for branch in (node.body, node.orelse):
                yield from self.meanings(_Bound(branch, function, given))
        elif isinstance(node, ast.Name) and node.id in given:
            yield from self.meanings(given[node.id])
        elif isinstance(node, ast.Name) and (values := self._assigned(node, function)):
            for value in values:
                yield from self.meanings(_Bound(value, function, given))
        else:
            yield bound

    def _assigned(self, name: ast.Name, function: _Function | None) -> Sequence[ast.expr]:
        """Return the possible values of a variable: the last in the enclosing blocks, or those of earlier branches."""
        before = [
            node
            for node in (ast.walk(function) if function is not None else ())
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name.id and node.lineno < name.lineno
        ]
        around = set(self._around(name))
        sure = [node for node in before if self.parents[node] in around]
        return [node.value for node in ([max(sure, key=lambda node: node.lineno)] if sure else before)]

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def texts(self, bound: _Bound) -> set[str | None]:
        return {text for meaning in self.meanings(bound) for text in self._texts_of(meaning)}

    def _texts_of(self, bound: _Bound) -> set[str | None]:
        node, function, given = bound
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.Name(id=name):
                return {self.constants.get(name)}
            case ast.Call(func=ast.Attribute(value=inner, attr="lower")):
                return {text and text.lower() for text in self.texts(_Bound(inner, function, given))}
            case ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue(value=inner)]):
                return {text and start + text for text in self.texts(_Bound(inner, function, given))}
        return {None}

    def keys(self, bound: _Bound) -> set[frozenset[str] | None]:
        return {self._keys_of(meaning) for meaning in self.meanings(bound)}

    def _keys_of(self, bound: _Bound) -> frozenset[str] | None:
        match bound.node:
            case ast.Dict(keys=names):
                return frozenset(str(name.value) for name in names if isinstance(name, ast.Constant))
            case ast.Constant(value=str()):
                return frozenset()
            case ast.Call(func=ast.Name(id="reason_of")):
                return _REASON
            case ast.Call(func=ast.Name(id="sentence" | "counted"), keywords=words):
                return frozenset(str(word.arg) for word in words)
        return None

    def refusals(self, makers: Mapping[str, int]) -> Iterator[Refusal]:
        for call in self.calls:
            name = _name(call)
            if _is_inherited(call) and "DomainError" in makers:
                name = "DomainError"
            if name not in makers or (not call.args and not call.keywords):
                continue
            function = self.function_of(call)
            for given in self.uses(function):
                yield from self._refusals_of(call, makers[name], _Use(function, given))

    def _refusals_of(self, call: ast.Call, place: int, use: "_Use") -> Iterator[Refusal]:
        words = {word.arg: word.value for word in call.keywords}
        said = words.get("context") or words.get("detail") or (call.args[place] if len(call.args) > place else None)
        is_field = _name(call) == "FieldError"
        code = words.get("code") if is_field else call.args[0]
        status = call.args[1] if _name(call) == "Problem" else None
        codes = {None} if code is None else self.texts(use.bound(code))
        if is_field and code is None:
            # The problem determines the code of its fields.
            codes = {found.code for found in self._problems_in(use.function)}
        for found in codes:
            keys = {frozenset[str]()} if said is None else self.keys(use.bound(said))
            for names in [_ALWAYS[found]] if found in _ALWAYS and not is_field else keys:
                number = status.value if isinstance(status, ast.Constant) and isinstance(status.value, int) else None
                yield Refusal(found, names, number, f"{self.path.name}:{call.lineno}")

    def _problems_in(self, function: _Function | None) -> Iterator[Refusal]:
        yield from (found for found in self.refusals(_PROBLEMS) if function is not None and _is_in(found, function))


class _Use(NamedTuple):
    function: _Function | None
    given: Mapping[str, _Bound]

    def bound(self, node: ast.expr) -> _Bound:
        return _Bound(node, self.function, self.given)


def problems_in(packages: Sequence[Path]) -> Sequence[Refusal]:
    """Return the kinds and contexts of the problems that packages create."""
    return [found for module in _modules(tuple(packages)) for found in module.refusals(_PROBLEMS)]


def fields_in(packages: Sequence[Path]) -> Sequence[Refusal]:
    """Return the codes and contexts of the field errors that packages create."""
    return [found for module in _modules(tuple(packages)) for found in module.refusals(_FIELDS)]


@cache
def _modules(packages: tuple[Path, ...]) -> Sequence[_Module]:
    paths = [path for package in packages for path in sorted(package.rglob("*.py"))]
    trees = {path: ast.parse(path.read_text("utf-8")) for path in paths}
    constants = {name: text for tree in trees.values() for name, text in _constants(tree)}
    return [_Module(path, constants, tree) for path, tree in trees.items()]


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_inherited(call: ast.Call) -> bool:
    """Return whether a subclass of :class:`DomainError` passes its code to the base class."""
    first = call.args[0] if call.args else None
    is_code = isinstance(first, ast.Constant) and isinstance(first.value, str) and "-" in first.value
    return is_code and ast.unparse(call.func) == "super().__init__"


def _is_in(found: Refusal, function: _Function) -> bool:
    line = int(found.place.rpartition(":")[2])
    return function.lineno <= line <= (function.end_lineno or line)

"""Python in the pages: it compiles, and what it imports, looks up and calls is there and takes these arguments."""

from __future__ import annotations

import ast
import builtins
import inspect
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from test_pages import PAGES, REPOSITORY, blocks

from scenetext.contracts import Metric, PretrainingTask

MADE_BY_THE_GUIDE = "scenetext.pretraining.rotation"
"""A module that exists where CONTRIBUTING.md is followed; tests/scripts/test_contributing.py does that."""
UNKNOWN = object()
"""A value of which nothing is known before the code runs."""


def python_blocks() -> Iterator[Any]:
    for page in PAGES:
        found = [content for language, content in blocks(page) if language == "python"]
        for number, content in enumerate(found, start=1):
            yield pytest.param(content, id=f"{page.relative_to(REPOSITORY)}-{number}")


class Lookup(ast.NodeVisitor):
    """Walks through code in order, knows what names stand for as far as imports and annotations say, and checks it.

    A call stands for an instance of the class that it is of, or of the class that its annotation says it returns.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = dict(vars(builtins))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            if first == "scenetext":
                import_module(alias.name)
            self.names[alias.asname or first] = import_module(first) if first == "scenetext" else UNKNOWN

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        name = node.module or ""
        checked = name.startswith("scenetext") and not name.startswith(MADE_BY_THE_GUIDE)
        module = import_module(name) if checked else None
        for alias in node.names:
            assert module is None or hasattr(module, alias.name), f"{name} has no {alias.name}"
            self.names[alias.asname or alias.name] = getattr(module, alias.name) if checked else UNKNOWN

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        value = self.value_of(node.value)
        for target in node.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    self.names[name.id] = value if name is target else UNKNOWN

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            self.names[argument.arg] = UNKNOWN
        self.generic_visit(node)
        self.names[node.name] = UNKNOWN

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = UNKNOWN
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for name in ast.walk(node.target):
            if isinstance(name, ast.Name):
                self.names[name.id] = UNKNOWN
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.value_of(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = self.value_of(node.func)
        if called is not UNKNOWN and not any(isinstance(argument, ast.Starred) for argument in node.args):
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            if len(keywords) == len(node.keywords):
                bind(called, [None] * len(node.args), keywords, ast.unparse(node))
        self.generic_visit(node)

    def value_of(self, node: ast.expr) -> Any:
        """What an expression stands for; an `Instance` where only its class is known."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, UNKNOWN)
        if isinstance(node, ast.Attribute):
            owner = self.value_of(node.value)
            if owner is UNKNOWN:
                return UNKNOWN
            if isinstance(owner, Instance):
                return owner.attribute(node.attr)
            assert hasattr(owner, node.attr), f"{ast.unparse(node)}: there is no {node.attr}"
            return getattr(owner, node.attr)
        if isinstance(node, ast.Call):
            return result_of(self.value_of(node.func))
        return UNKNOWN


class Instance:
    """An object of a class of scenetext, which is not made."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind

    def attribute(self, name: str) -> Any:
        fields = {field for parent in self.kind.__mro__ for field in getattr(parent, "__annotations__", {})}
        known = fields | set(dir(self.kind)) | set(own_attributes(self.kind))
        assert name in known, f"{self.kind.__name__} has no {name}"
        value = inspect.getattr_static(self.kind, name, UNKNOWN)
        return Method(value) if inspect.isfunction(value) else UNKNOWN


class Method:
    """A function that gets its first argument from the object before it."""

    def __init__(self, function: Any) -> None:
        self.function = function


def own_attributes(kind: type[Any]) -> set[str]:
    """What `__init__` of a class gives its objects."""
    made = ast.walk(ast.parse(inspect.getsource(inspect.getmodule(kind) or kind)))
    return {node.attr for node in made if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}


def result_of(called: Any) -> Any:
    if inspect.isclass(called) and called.__module__.startswith("scenetext"):
        return Instance(called)
    function = called.function if isinstance(called, Method) else called
    if inspect.isroutine(function) and str(getattr(function, "__module__", "")).startswith("scenetext"):
        try:
            returned = typing.get_type_hints(function).get("return")
        except (NameError, TypeError):
            return UNKNOWN
        if inspect.isclass(returned) and returned.__module__.startswith("scenetext"):
            return Instance(returned)
    return UNKNOWN


def bind(called: Any, arguments: list[None], keywords: dict[str, None], text: str) -> None:
    """Fails where something of scenetext does not take these arguments."""
    if isinstance(called, Instance):
        called = Method(called.kind.__call__)
    if isinstance(called, Method):
        called, arguments = called.function, [None, *arguments]
    if str(getattr(called, "__module__", "")).startswith("scenetext"):
        try:
            inspect.signature(called).bind(*arguments, **keywords)
        except ValueError:
            return  # a class of Python's own, such as an exception, has no signature
        except TypeError as error:
            raise AssertionError(f"{text}: {error}") from None


@pytest.mark.parametrize("content", list(python_blocks()))
def test_what_it_looks_up_and_calls_is_there(content: str) -> None:
    Lookup().visit(ast.parse(content))
    compile(content, "page", "exec")


def test_task_of_the_guide_has_every_part_of_the_contract() -> None:
    """So that a new part of it is noticed here; tests/scripts/test_contributing.py runs the task, but is slow."""
    page = REPOSITORY / "CONTRIBUTING.md"
    code = "\n".join(
        content for language, content in blocks(page) if language == "python" and "RotationTask" in content
    )
    classes = {node.name: node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ClassDef)}
    for name, contract in (("RotationTask", PretrainingTask), ("RotationMetric", Metric)):
        parts = {part for kind in contract.__mro__[:-1] for part in (*vars(kind), *inspect.get_annotations(kind))}
        made = {node.name for node in classes[name].body if isinstance(node, ast.FunctionDef)}
        made |= {node.id for node in ast.walk(classes[name]) if isinstance(node, ast.Name) and is_stored(node)}
        made |= {node.attr for node in ast.walk(classes[name]) if isinstance(node, ast.Attribute) and is_stored(node)}
        assert {part for part in parts if not part.startswith("_")} <= made, (
            f"{name} lacks a part of {contract.__name__}"
        )


def is_stored(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def test_blocks_were_collected() -> None:
    ids = {parameter.id.rpartition("-")[0] for parameter in python_blocks()}
    assert ids >= {"README.md", "CONTRIBUTING.md", "docs/start.md", "docs/data.md", "docs/scale.md"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("from scenetext.inference import TextDetectr", "scenetext.inference has no TextDetectr"),
        ("from scenetext.inference import TextDetector\nTextDetector.lod('a')", "there is no lod"),
        ("from scenetext.inference import TextDetector\nTextDetector.load('a', devise='cpu')", "devise"),
        ("from scenetext.inference import TextDetector\nd = TextDetector.load('a')\nd.detekt()", "has no detekt"),
        ("from scenetext.inference import TextDetector\nd = TextDetector.load('a')\nd(1, 2, 3)", "too many"),
        ("import scenetext.inference\nscenetext.inference.TextDetectr", "there is no TextDetectr"),
    ],
)
def test_wrong_code_is_noticed(content: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        Lookup().visit(ast.parse(content))


def test_right_code_is_not_refused() -> None:
    code = (
        "from scenetext.inference import TextDetector\nd = TextDetector.load('a', device='cpu')\nd('b').sort()\nd.task"
    )
    Lookup().visit(ast.parse(code))

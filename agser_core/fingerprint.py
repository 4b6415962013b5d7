"""What an output depends on, as short hashes: settings, code, inputs."""

import ast
import functools
import hashlib
import json
from pathlib import Path

_PACKAGE = Path(__file__).parent


def fingerprint(value: object) -> str:
    """Twelve hexadecimal digits of a JSON-like value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_TABLES = (".txt", ".json")  # data that lie beside the code
# What says where results lie and what is set, not how they are made: settings are part of an identity by their values.
_GROUND = ("errors", "storage", "storage_faults", "outputs", "chain", "fingerprint", "experiment")


@functools.lru_cache
def code_version(*modules: str) -> str:
    """The hash of what some modules of agser_core do, with all of agser_core that they import.

    modules: paths without suffix below agser_core, such as "gestures/fitting"; a package means all in it. The
    tables that lie beside these modules count as code (`phones/stressed_ah.txt`). Comments, docstrings and layout
    don't, so that only a change of the code itself sends the results of a long job to another folder.
    """
    digest, seen, waiting = hashlib.sha256(), set(), []
    for module in modules:
        path = _PACKAGE / module
        waiting += path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    while waiting:
        file = waiting.pop()
        if file in seen or file.relative_to(_PACKAGE).with_suffix("").as_posix() in _GROUND:
            continue
        seen.add(file)
        waiting += _imported(ast.parse(file.read_text(encoding="utf-8")))
    for file in sorted(seen):
        digest.update(str(file.relative_to(_PACKAGE)).encode())
        digest.update(_code_without_prose(file.read_text(encoding="utf-8")).encode())
    for table in sorted(table for folder in {file.parent for file in seen} for table in folder.iterdir()):
        if table.suffix in _TABLES:
            digest.update(str(table.relative_to(_PACKAGE)).encode() + table.read_bytes())
    return digest.hexdigest()[:12]


def _imported(tree: ast.AST) -> list[Path]:
    """The files of this package that a module imports, at its top or inside functions."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    places = [_PACKAGE.joinpath(*name.split(".")[1:]) for name in names if name.startswith(f"{_PACKAGE.name}.")]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in places]
    return [file for file in files if file.is_file()]


def _code_without_prose(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            if isinstance(body[0].value.value, str):
                body[0].value.value = ""
    return ast.dump(tree)

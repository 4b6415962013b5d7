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


@functools.lru_cache
def code_version(*rooms: str) -> str:
    """The hash of what the code of some modules or packages of agser_core does.

    Comments, docstrings and layout don't count, so that only a change of the code itself sends the results of a long
    job to another folder.
    """
    digest = hashlib.sha256()
    for room in rooms:
        path = _PACKAGE / room
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            digest.update(str(file.relative_to(_PACKAGE)).encode())
            digest.update(_code_without_prose(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:12]


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

"""YAML with the line of every key, so that a fault found after parsing can still be pointed at."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from agser_core.errors import ConfigError


class Document:
    """A YAML mapping and where its parts stand. `content` are plain values; `name` is how the file was called."""

    def __init__(self, text: str, name: str):
        self.name = name
        try:
            self._root = yaml.compose(text, yaml.SafeLoader)
            self.content = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ConfigError(f"{name}: not valid YAML: {error}") from error
        if not isinstance(self.content, dict):
            raise ConfigError(f"{name}: expected keys with values, found {type(self.content).__name__}")
        self._refuse_doubles(self._root)

    def line(self, path: Sequence[str | int]) -> int:
        """Line, from 1, of the key at a path; of its nearest ancestor where there is no such key."""
        node, line = self._root, 1
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if str(key.value) == str(part)), None)
                if found is None:
                    return line
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                return line
        return line

    def fault(self, path: Sequence[str | int], words: str) -> ConfigError:
        """An error that names file, line and field."""
        return ConfigError(f"{self.name}, line {self.line(path)}: {'.'.join(map(str, path))}: {words}")

    def _refuse_doubles(self, node: yaml.Node | None) -> None:
        """A key given twice: YAML would silently keep the last."""
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.value in seen:
                    raise ConfigError(
                        f"{self.name}, line {line}: {key.value}: given twice, first in line {seen[key.value]}"
                    )
                seen[str(key.value)] = line
                self._refuse_doubles(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                self._refuse_doubles(value)

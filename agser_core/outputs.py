"""The output folder of a stage: `<output>/<stage>/<fingerprint>/`, tables and files, and a manifest written last.

The fingerprint covers the settings that matter, the code and the inputs: a change of any of them goes to another
folder, and the same command finds what is done. Readers trust the manifest, never the listing, so a half-written
output is never read.
"""

import json
import platform
import resource
import time
from dataclasses import dataclass, field
from importlib.metadata import version

import pyarrow as pa

from agser_core import __version__
from agser_core.errors import AgserError
from agser_core.fingerprint import fingerprint
from agser_core.storage import Location
from agser_core.tables import read_parquet, write_parquet

_MANIFEST = "manifest.json"
_RECORDED_PACKAGES = ("numpy", "numba", "pyarrow", "torch", "transformers", "ray", "mediapipe", "pocketsphinx")


@dataclass
class StageOutput:
    """One output folder. Write tables and files, then `commit`; read tables only after that."""

    folder: Location
    identity: dict
    started: float = field(default_factory=time.time)
    _tables: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def of(cls, root: str, stage: str, identity: dict) -> "StageOutput":
        """The folder of a stage under the experiment's output root. identity: everything the content depends on."""
        return cls(Location.parse(root).join(stage, fingerprint(identity)), {"stage": stage, **identity})

    def is_complete(self) -> bool:
        return self.folder.join(_MANIFEST).exists()

    def manifest(self) -> dict:
        file = self.folder.join(_MANIFEST)
        if not file.exists():
            stage = self.identity["stage"]
            raise AgserError(
                f"{self.folder.uri} holds no finished output of the stage '{stage}'. Run `agser {stage.split('/')[0]}` "
                "with the same experiment file and overrides first."
            )
        return json.loads(file.read_text())

    def content(self) -> str:
        """What stages that read this output put into their own identity: what it was made from, and its parts."""
        return fingerprint([self.manifest()["fingerprint"], self.manifest()["tables"]])

    def write_table(self, name: str, table: pa.Table, part: str = "part-0") -> None:
        """Write one part of a table; it counts once the manifest names it."""
        write_parquet(table, self.folder.join(name, f"{part}.parquet"))
        entry = self._tables.setdefault(name, {"files": [], "rows": 0})
        entry["files"].append(f"{part}.parquet")
        entry["rows"] += table.num_rows

    def adopt_table(self, name: str, files: list[str], rows: int) -> None:
        """Take over parts that workers wrote."""
        self._tables[name] = {"files": files, "rows": rows}

    def write_json(self, name: str, value: object) -> None:
        self.folder.join(name).write_text(json.dumps(value, indent=1, ensure_ascii=False))

    def read_json(self, name: str):
        self.manifest()
        return json.loads(self.folder.join(name).read_text())

    def files(self, name: str) -> list[Location]:
        """The parts of a table."""
        entry = self.manifest()["tables"].get(name)
        if entry is None:
            raise AgserError(f"{self.folder.uri} has no table {name!r}; it has {sorted(self.manifest()['tables'])}")
        return [self.folder.join(name, file) for file in entry["files"]]

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        return read_parquet(self.files(name), columns)

    def commit(self, **facts: object) -> dict:
        """Write the manifest: from now on the output exists. facts: what the stage wants to say of its run."""
        manifest = {
            **self.identity,
            "fingerprint": self.folder.name,
            "tables": self._tables,
            "wall_seconds": round(time.time() - self.started, 3),
            "peak_memory_bytes": peak_memory(),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": platform.python_version(),
            "packages": {"agser": __version__, **{name: version(name) for name in _RECORDED_PACKAGES}},
            **facts,
        }
        self.folder.join(_MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, default=str))
        return manifest


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

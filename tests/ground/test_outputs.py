import json

import pyarrow as pa
import pytest

from agser_core import fingerprint as fingerprint_module
from agser_core.errors import AgserError
from agser_core.fingerprint import code_version, fingerprint
from agser_core.outputs import StageOutput


def output(tmp_path, **identity):
    return StageOutput.of(str(tmp_path), "cluster", {"settings": identity})


def test_tables_exist_only_after_the_commit(tmp_path):
    out = output(tmp_path, k=3)
    out.write_table("gestures", pa.table({"gesture": [1, 2]}), part="a")
    out.write_table("gestures", pa.table({"gesture": [3]}), part="b")
    with pytest.raises(AgserError, match="no finished output of the stage 'cluster'.*agser cluster"):
        output(tmp_path, k=3).table("gestures")
    out.commit(note="x")
    again = output(tmp_path, k=3)
    assert again.table("gestures")["gesture"].to_pylist() == [1, 2, 3]
    assert again.manifest()["note"] == "x" and again.manifest()["tables"]["gestures"]["rows"] == 3


def test_a_file_that_the_manifest_does_not_name_is_not_read(tmp_path):
    out = output(tmp_path, k=3)
    out.write_table("gestures", pa.table({"gesture": [1]}))
    out.commit()
    stray = output(tmp_path, k=3)
    stray.write_table("gestures", pa.table({"gesture": [9]}), part="stray")
    assert output(tmp_path, k=3).table("gestures")["gesture"].to_pylist() == [1]


def test_other_settings_go_to_another_folder(tmp_path):
    assert output(tmp_path, k=3).folder != output(tmp_path, k=4).folder
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_an_unknown_table_is_named_with_the_known_ones(tmp_path):
    out = output(tmp_path)
    out.write_table("elbow", pa.table({"k": [2]}))
    out.commit()
    with pytest.raises(AgserError, match=r"'gestures'.*\['elbow'\]"):
        out.table("gestures")


def test_code_version_sees_code_and_not_prose(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint_module, "_PACKAGE", tmp_path)

    def version(source: str) -> str:
        (tmp_path / "room.py").write_text(source)
        code_version.cache_clear()
        return code_version("room")

    first = version('"""Doc."""\ndef f():\n    "Says."\n    return 1\n')
    assert version('"""Other."""\n\n# why\ndef f():\n    "Says more."\n    return (1)\n') == first
    assert version('"""Doc."""\ndef f():\n    "Says."\n    return 2\n') != first
    code_version.cache_clear()


def test_manifest_is_plain_json(tmp_path):
    out = output(tmp_path)
    out.commit()
    manifest = json.loads(out.folder.join("manifest.json").read_text())
    assert manifest["stage"] == "cluster" and manifest["packages"]["numpy"] and manifest["peak_memory_bytes"] > 0


def test_code_version_follows_imports_and_leaves_the_ground_out(tmp_path, monkeypatch):
    package = tmp_path / "agser_core"
    package.mkdir()
    monkeypatch.setattr(fingerprint_module, "_PACKAGE", package)

    def version(deep: str, ground: str = "", table: str = "") -> str:
        (package / "room.py").write_text("def f():\n    from agser_core.deep import g\n    return g()\n")
        (package / "deep.py").write_text(f"from agser_core import storage\ndef g():\n    return {deep}\n")
        (package / "storage.py").write_text(ground)
        (package / "deep.txt").write_text(table)
        code_version.cache_clear()
        return code_version("room")

    assert version("1") == version("1", "x = 1") != version("2")
    assert version("1", table="AH 0") != version("1")  # what a module reads beside itself is of its code
    code_version.cache_clear()


def test_content_names_what_an_output_was_made_from(tmp_path):
    contents = []
    for k in (8, 9):
        out = output(tmp_path, k=k)
        out.write_table("gestures", pa.table({"gesture": [1, 2]}))
        out.commit()
        contents.append(out.content())
    assert contents[0] != contents[1]  # the same files and rows, but other gestures

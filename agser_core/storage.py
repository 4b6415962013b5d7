"""One location type for inputs and outputs: a local path or `s3://bucket/prefix`, both through pyarrow.fs.

S3 takes endpoint, region and credentials from where the ecosystem keeps them: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_PROFILE, or the role of the instance.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow.fs

from agser_core.errors import StorageError
from agser_core.storage_faults import insist

_COPY_BYTES = 1 << 20
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}")  # names of local files that are still being written


@functools.lru_cache
def _filesystem(scheme: str) -> pyarrow.fs.FileSystem:
    """The file system of a scheme. One S3 client serves the whole process."""
    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        plain, _, host = endpoint.rpartition("://")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return pyarrow.fs.S3FileSystem(
            endpoint_override=host or None,
            scheme=plain or "https",
            region=region,
            allow_bucket_creation=False,
            connect_timeout=10,
            request_timeout=60,
        )
    return pyarrow.fs.LocalFileSystem()


@dataclass(frozen=True, order=True)
class Location:
    """A file or folder, named by its URI: an absolute local path, or `s3://bucket/key`."""

    uri: str

    @classmethod
    def parse(cls, uri: str | os.PathLike | Location) -> Location:
        """Read a local path (made absolute, `~` expanded) or an `s3://` URI.

        A relative path means the one seen from where the command was given: from AGSER_ROOT, which a job submitted to a
        cluster gets from there, else from the current folder.
        """
        if isinstance(uri, Location):
            return uri
        text = os.fspath(uri)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(str((Path(os.environ.get("AGSER_ROOT", "")) / Path(text).expanduser()).absolute()))
        if scheme != "s3" or not rest.strip("/"):
            raise StorageError(f"{text!r} is no location: give a local path or s3://bucket/prefix")
        return cls("s3://" + rest.rstrip("/"))

    @property
    def is_local(self) -> bool:
        return not self.uri.startswith("s3://")

    @property
    def path(self) -> str:
        """The path inside the file system: pyarrow names S3 objects without the scheme."""
        return self.uri if self.is_local else self.uri.removeprefix("s3://")

    @property
    def filesystem(self) -> pyarrow.fs.FileSystem:
        return _filesystem("file" if self.is_local else "s3")

    @property
    def name(self) -> str:
        return self.uri.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> Location:
        return Location(self.uri.rstrip("/").rpartition("/")[0])

    def join(self, *parts: str) -> Location:
        return Location("/".join([self.uri.rstrip("/"), *(part.strip("/") for part in parts)]))

    def exists(self) -> bool:
        return self._info().type != pyarrow.fs.FileType.NotFound

    def is_folder(self) -> bool:
        """True for a local directory and for an S3 prefix that holds something."""
        return self._info().type == pyarrow.fs.FileType.Directory

    def stamp(self) -> tuple[int, int] | None:
        """Size in bytes and time of the last change in ns of a local file; None on S3, where asking costs a request."""
        if not self.is_local or not os.path.exists(self.path):
            return None
        status = os.stat(self.path)
        return status.st_size, status.st_mtime_ns

    def size(self) -> int:
        return self._info().size or 0

    def list(self, recursive: bool = False) -> list[Location]:
        """The files below this folder in order of name; empty where the folder does not exist.

        What is being written does not exist yet, nor ever will where its writer was killed.
        """
        selector = pyarrow.fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        entries = insist(lambda: self.filesystem.get_file_info(selector), "list", self.uri)
        prefix = "" if self.is_local else "s3://"
        files = (Location(prefix + entry.path) for entry in entries if entry.type == pyarrow.fs.FileType.File)
        return sorted(file for file in files if not (file.is_local and _UNFINISHED.fullmatch(file.name)))

    def folders(self) -> list[Location]:
        """The folders directly below this one, in order of name."""
        selector = pyarrow.fs.FileSelector(self.path, allow_not_found=True)
        entries = insist(lambda: self.filesystem.get_file_info(selector), "list", self.uri)
        prefix = "" if self.is_local else "s3://"
        return sorted(Location(prefix + entry.path) for entry in entries if entry.type == pyarrow.fs.FileType.Directory)

    def read_bytes(self) -> bytes:
        def read() -> bytes:
            with self.filesystem.open_input_stream(self.path, compression=None) as stream:
                return stream.read()

        return insist(read, "read", self.uri)

    def read_start(self, size: int = 1 << 16) -> bytes:
        """The first bytes of the file, at most `size`."""
        return insist(lambda: self._open_at_start(size), "read", self.uri)

    def _open_at_start(self, size: int) -> bytes:
        with self.filesystem.open_input_stream(self.path, compression=None) as stream:
            return stream.read(size)

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Write the whole file or nothing: a reader sees the old content or the new one."""
        insist(lambda: self._write_local(data) if self.is_local else self._upload(data), "write", self.uri)

    def _upload(self, data: bytes) -> None:
        with self.filesystem.open_output_stream(self.path) as stream:
            stream.write(data)  # an object appears when the upload completes

    def _write_local(self, data: bytes) -> None:
        target = Path(self.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with open(temporary, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def delete(self) -> None:
        """Remove this file."""
        insist(lambda: self.filesystem.delete_file(self.path), "delete", self.uri)

    @contextlib.contextmanager
    def local_copy(self) -> Iterator[str]:
        """A local path with this file's content, for libraries that only open paths. An S3 object is streamed to a
        temporary file that is removed afterwards; a local file is its own copy."""
        if self.is_local:
            yield self.path
            return
        with tempfile.NamedTemporaryFile(suffix=os.path.splitext(self.name)[1]) as file:
            insist(lambda: self._download(file), "read", self.uri)
            yield file.name

    def _download(self, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()  # a try that broke off may have left its part
        with self.filesystem.open_input_stream(self.path, compression=None) as stream:
            while block := stream.read(_COPY_BYTES):
                file.write(block)
        file.flush()

    def _info(self) -> pyarrow.fs.FileInfo:
        return insist(lambda: self.filesystem.get_file_info(self.path), "look up", self.uri)

"""Why storage refused: the kind of fault, what to do about it, and whether trying again can help."""

import errno
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agser_core.errors import StorageError

Result = TypeVar("Result")
WAITS = (0.5, 1, 2, 4, 8, 16)
"""Seconds before each further try of what may pass by itself, beside the S3 client's own three quick tries."""


@dataclass(frozen=True)
class Fault:
    """kind: one word for the message. passing: whether the same request may succeed a little later."""

    kind: str
    remedy: str
    passing: bool = False


UNREACHABLE = Fault(
    "unreachable", "is the network up, and the endpoint (AWS_ENDPOINT_URL, region) right?", passing=True
)
FULL = Fault("full", "the disk is full, what was there before is untouched: free some space and run the same command")
DENIED = Fault("denied", "are the credentials right, still valid, and allowed to list, read, write and delete there?")
UNKNOWN = Fault("failed", "`agser check` tries every location from every node")

_BY_MESSAGE = (  # the first pattern that the message holds; S3's codes as pyarrow spells them, and as services do
    (r"EXPIRED_?TOKEN|REQUEST_EXPIRED|TOKEN_?REFRESH", Fault("expired", "renew the credentials, run the same command")),
    (
        r"INVALID_?ACCESS_?KEY|INVALID_?CLIENT_?TOKEN|SIGNATURE_?DOES_?NOT_?MATCH|InvalidToken",
        Fault("denied", "the access key is unknown, revoked or does not match its secret: give a valid one"),
    ),
    (
        r"PermanentRedirect|HTTP status 301|AuthorizationHeaderMalformed|IllegalLocationConstraint|wrong region",
        Fault("wrong region", "set AWS_REGION to the bucket's region"),
    ),
    (r"NO_SUCH_BUCKET|NoSuchBucket", Fault("no such bucket", "create the bucket, or correct its name")),
    (
        r"HTTP status 503|HTTP status 429|SLOW_?DOWN|THROTTL|SERVICE_UNAVAILABLE",
        Fault(
            "throttled",
            "use fewer workers (ray.extract_workers), or ask the storage's owner for a higher rate",
            passing=True,
        ),
    ),
    (
        r"HTTP status 50\d|INTERNAL_FAILURE|INTERNAL_?ERROR",
        Fault("broken on its side", "wait until the service is well, then run the same command", passing=True),
    ),
    (r"NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|timed? ?out", UNREACHABLE),
    (r"ACCESS_?DENIED|HTTP status 40[013]|InvalidRequest|NoCredentials|credentials", DENIED),
)
_BY_NUMBER = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EROFS: Fault("denied", "the file system is mounted read-only: choose another output"),
    errno.ENOENT: Fault("missing", "the file is not there: has it been moved since the listing?"),
    **{number: UNREACHABLE for number in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENETUNREACH)},
}


def explain(error: OSError) -> Fault:
    """What kind of fault an error of storage is, by its number, else by its message."""
    if error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    return next((fault for pattern, fault in _BY_MESSAGE if re.search(pattern, str(error), re.IGNORECASE)), UNKNOWN)


def insist(function: Callable[[], Result], action: str, uri: str) -> Result:
    """Call until it succeeds or has no chance to: what may pass by itself is tried again after each of WAITS.

    Raises StorageError that says what failed where, the kind of fault, the storage's own words and the remedy.
    """
    for wait in (*WAITS, None):
        try:
            return function()
        except OSError as error:
            fault = explain(error)
            if not fault.passing or wait is None:
                tries = f" {len(WAITS) + 1} times" if fault.passing else ""
                message = (
                    f"could not {action} {uri}{tries}, {fault.kind}: {str(error).rstrip('. ')}. Remedy: {fault.remedy}"
                )
                raise StorageError(message) from error
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")

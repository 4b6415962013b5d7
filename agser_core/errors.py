"""The project's exceptions. Every message names what failed, why, and what to do about it."""


class AgserError(Exception):
    """Base of all errors that a user can mend; the command line prints them without a traceback."""


class ConfigError(AgserError):
    """The experiment file or an override is wrong."""


class StorageError(AgserError):
    """Reading or writing storage failed: never a fault of one clip, always a fault of the stage."""


class ClipError(AgserError):
    """One clip can't be processed; it becomes a row of the errors table and costs no other clip.

    reason: what is wrong with this clip. remedy: what the user can do. error_class: the kind of fault, by which
    the report counts ("media", "face", "transcript", "alignment", "label", "encoder", "landmarks", "timeout").
    """

    def __init__(self, reason: str, *, remedy: str = "", error_class: str = "media"):
        super().__init__(reason)
        self.reason, self.remedy, self.error_class = reason, remedy, error_class

    def __reduce__(self):
        """Keyword-only fields would be lost by the default pickling between processes."""
        return _clip_error, (self.reason, self.remedy, self.error_class)


def _clip_error(reason: str, remedy: str, error_class: str) -> ClipError:
    return ClipError(reason, remedy=remedy, error_class=error_class)

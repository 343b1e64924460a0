"""Every error incidentd raises by name.

IncidentdError
├── ConfigurationError           an operator must mend something before the start
│   ├── SettingsError            the environment
│   ├── RulesError               the rules table; carries every fault found
│   └── SchemaError              the database is not ours, or of another version
├── UsageError                   an argument of a command that can't be used; says what there is
├── ExportError                  a file of recorded alerts that can't be used; carries the line
├── IntakeError                  a request that is no usable webhook; carries status and reason
├── RefusedError                 a command that the model refuses (HTTP 409)
├── NotFoundError                no such incident (HTTP 404)
├── StoreError
│   ├── StoreUnavailableError    the fault is ours and may pass (HTTP 503)
│   └── ConflictError            somebody else wrote the incident first; decide again
└── DeliveryError                a receiver did not accept
    ├── TransientError           worth another try; carries Retry-After where one was given
    │   └── UncertainError       the receiver may have accepted: the reply was lost
    └── PermanentError           no retry will help; carries a short cause
"""

from dataclasses import dataclass
from datetime import timedelta


class IncidentdError(Exception):
    """Root of the tree. Messages never carry a secret nor echo untrusted input."""


class ConfigurationError(IncidentdError):
    """The process can't start as it is configured."""


class SettingsError(ConfigurationError):
    """A setting is missing, malformed or unknown. Names the variable, never its value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a rules file: where it stands and what was expected there. Line 0: the file as a whole."""

    file: str
    line: int
    row: str
    cause: str

    def __str__(self) -> str:
        row = f" [{self.row}]" if self.row else ""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}:{row} {self.cause}"


class RulesError(ConfigurationError):
    """The rules table is unsound. ``faults`` lists every fault, in file order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class SchemaError(ConfigurationError):
    """The database is corrupt, not ours, or of a schema that this version can't serve."""


class UsageError(IncidentdError):
    """An argument of a command that can't be used. Says what would do, or what there is."""


class ExportError(IncidentdError):
    """A file of recorded alerts that can't be used. ``line`` counts from 1."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(f"line {line}: {cause}")
        self.line = line
        self.cause = cause


class IntakeError(IncidentdError):
    """A webhook that can't be used. ``status`` is the HTTP answer, ``reason`` a short fixed word."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


class RefusedError(IncidentdError):
    """The model refuses this command in this state. ``reason`` is a short fixed word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class NotFoundError(IncidentdError):
    """There is no such incident."""


class StoreError(IncidentdError):
    """The database did not do what was asked."""


class StoreUnavailableError(StoreError):
    """The database can't be written now: away, locked, full or read-only. May pass."""


class ConflictError(StoreError):
    """The incident changed between reading and writing. Read again and decide again."""


class DeliveryError(IncidentdError):
    """A receiver did not accept a message. The text is safe to log and to show."""


class TransientError(DeliveryError):
    """Another try may succeed; not before ``retry_after``, where the receiver gave one."""

    def __init__(self, cause: str, retry_after: timedelta | None = None) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class UncertainError(TransientError):
    """The request went out and no reply came: the receiver may have accepted it."""


class PermanentError(DeliveryError):
    """The receiver refuses this message, this credential or this address for good."""

"""
The names of keys in a Redis.

    <prefix>{<tenant>}:upload:<key>                     hash: revision, operation, document (a record as JSON)
    <prefix>{<tenant>}:object:<kind>:<id>               likewise
    <prefix>{<tenant>}:slot:<kind>:<id>:<slot>          likewise
    <prefix>{<tenant>}:uploads, :objects:<kind>, :slots:<kind>:<id>     sorted sets without scores: their keys, ids or names
    <prefix>{<tenant>}:due                              sorted set without scores: when an upload expires, then its key
    <prefix>{<tenant>}:again                            hash: idempotency key → the hash of the upload that has it
    <prefix>{<tenant>}:events                           stream: event (as JSON); the ids of its entries are the positions
    <prefix>{<tenant>}:events:<attachment>              sorted set without scores: the positions of those that name it
    <prefix>{<tenant>}:event:<id>                       the operation that stored it, for a while
    <prefix>{<tenant>}:counters                         hash: counter → value
    <prefix>{<tenant>}:done:<operation>                 marks an operation that only adjusts counters as done, for a while
    <prefix>{<tenant>}:lease:<key>                      hash: holder, epoch, behind, until
    <prefix>{<tenant>}:epoch                            the newest epoch
    <prefix>tenants                                     set: every tenant that has an upload
    <prefix>key:<key>                                   the operation that created this upload, for any tenant
    <prefix>secret:<name>, <prefix>note:<name>
    <prefix>process:<process>                           channel: messages to a process

The text in braces decides on which node of a Cluster a key lives, so that everything of a tenant can change in one step.

A client's text at the end of a name is kept as it is, because ranges follow its order; elsewhere it is quoted as in a URL.
Scores are not used: a range cannot begin between two equal scores, and scripts compare text by the locale of the server.
"""

from __future__ import annotations

import re
import struct
from urllib.parse import quote

from holdfast.storage.errors import UnknownPosition
from holdfast.storage.objects import Event
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, Tenant, UploadRecord

PREFIX = "holdfast:"
_POSITION = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
# Greater than every byte of a text.
_BEHIND_ALL = b"\xff"
_BIGGEST = 2**63


def encoded(text: str) -> bytes:
    """Return *text* as UTF-8, for names and sets; the bytes sort as the texts do."""
    return text.encode("utf-8", "surrogatepass")


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


class RedisNames:
    """The names of all keys of one service."""

    def __init__(self, prefix: str = PREFIX) -> None:
        if not prefix.isascii() or "{" in prefix or "}" in prefix:
            raise ValueError("the prefix of the keys in Redis must be ASCII without braces")
        self._prefix = prefix
        self.tenants = f"{prefix}tenants"
        self.ping = f"{prefix}ping"
        self.processes = f"{prefix}process:"

    def tenant(self, tenant: Tenant) -> str:
        # Redis ignores empty braces; a percent sign alone is never a quoted text.
        return f"{self._prefix}{{{_quoted(tenant) or '%'}}}:"

    def reservation(self, key: Key) -> bytes:
        return encoded(f"{self._prefix}key:{key}")

    def secret(self, name: str) -> bytes:
        return encoded(f"{self._prefix}secret:{name}")

    def note(self, name: str) -> bytes:
        return encoded(f"{self._prefix}note:{name}")

    def channel(self, process: str) -> str:
        return self.processes + process

    def uploads(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}upload:"

    def objects(self, tenant: Tenant, kind: str) -> str:
        return f"{self.tenant(tenant)}object:{_quoted(kind)}:"

    def slots(self, ref: ObjectRef) -> str:
        return f"{self.tenant(ref.tenant)}slot:{_quoted(ref.kind)}:{_quoted(ref.id)}:"

    def record(self, ref: Ref | ObjectRef | SlotRef) -> bytes:
        match ref:
            case Ref():
                return encoded(self.uploads(ref.tenant) + ref.key)
            case ObjectRef():
                return encoded(self.objects(ref.tenant, ref.kind) + ref.id)
            case SlotRef():
                return encoded(self.slots(ref.object) + ref.slot)

    def all_uploads(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}uploads"

    def all_objects(self, tenant: Tenant, kind: str) -> str:
        return f"{self.tenant(tenant)}objects:{_quoted(kind)}"

    def all_slots(self, ref: ObjectRef) -> str:
        return f"{self.tenant(ref.tenant)}slots:{_quoted(ref.kind)}:{_quoted(ref.id)}"

    def due(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}due"

    def idempotency(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}again"

    def events(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}events"

    def events_of(self, tenant: Tenant, attachment: Key) -> bytes:
        return encoded(f"{self.tenant(tenant)}events:{attachment}")

    def event(self, event: Event) -> bytes:
        return encoded(f"{self.tenant(event.tenant)}event:{event.id}")

    def counters(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}counters"

    def done(self, tenant: Tenant, operation: str) -> str:
        return f"{self.tenant(tenant)}done:{operation}"

    def lease(self, ref: Ref) -> bytes:
        return encoded(f"{self.tenant(ref.tenant)}lease:{ref.key}")

    def epoch(self, tenant: Tenant) -> str:
        return f"{self.tenant(tenant)}epoch"


def when_due(record: UploadRecord) -> bytes | None:
    """Return the place of a record in the due index, or None if it never expires."""
    return None if record.expires_at is None else moment(record.expires_at) + record.key.encode()


def moment(time: float) -> bytes:
    """Return a time (seconds since the epoch) as 16 bytes of text that sort as times do."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", time + 0.0))  # turns -0.0 into 0.0
    return b"%016x" % (bits ^ (_BIGGEST if bits < _BIGGEST else 2 * _BIGGEST - 1))


def behind_moment(time: float) -> bytes:
    """Return the end of a range that includes everything that expires at *time* or before."""
    return b"(" + moment(time) + _BEHIND_ALL


def parse_place(position: str) -> str:
    """
    Return the beginning of a range of events after *position*; "" means before the first.

    :raises UnknownPosition: *position* is malformed.
    """
    if not position:
        return "-"
    milliseconds, number = _place(position)
    return f"({milliseconds}-{number}"


def parse_place_of_one(position: str) -> str:
    """
    Return what `parse_place` does, in the form of an attachment's index.

    :raises UnknownPosition: *position* is malformed.
    """
    if not position:
        return "-"
    milliseconds, number = _place(position)
    return f"({milliseconds:020d}-{number:020d}"


def _place(position: str) -> tuple[int, int]:
    found = _POSITION.fullmatch(position)
    milliseconds, number = (int(text) for text in found.groups()) if found else (_BIGGEST, 0)
    if milliseconds >= _BIGGEST or number >= _BIGGEST:
        raise UnknownPosition("this is not the position of an event")
    return milliseconds, number

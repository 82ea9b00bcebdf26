"""
No caller does without being asked: proved by what verbs take, and by who makes that.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.service.core.access.authorised import Access
from holdfast.service.core.commands import Append, Cancel, Completes, Create, GetAttachment, GetEvents, MakeLink, SetPicture
from holdfast.service.core.errors import Forbidden, ManagedElsewhere, SlotUnknown, UploadNotFound
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import BUILT_IN, Policies, Policy
from holdfast.service.core.principals import ADMIN, ANYBODY, UNADMITTED, Capability, Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.keys import new_key
from holdfast.storage.records import Intent, Ref, SlotRef, State, Subject
from tests.storage.backends import TENANT, new_upload

SERVICE = Path("service")
HOME = SERVICE / "core/access"
VERBS = (Uploads, UploadViews, Attachments, Objects, Pictures)
# What the service does by itself; no client asks for it.
OWN = {"sweep", "expect", "fit", "conclude", "known"}
# What the service reads for itself, by name; and what of that the asgi floor needs to describe content.
READ = re.compile(r"[a-z]+_of")
DESCRIBED_BY = {"start_of", "record_of"}

MIRROR = Policy(kind="user", slot="mirror", managed_elsewhere=True)
ACCESS = Access(Policies([*BUILT_IN, MIRROR]))
KELP = Principal(tenant=TENANT, subject=Subject("kelp"))
PHOTO = SlotRef(tenant=TENANT, kind="user", id="kelp", slot="ProfilePhoto")


def modules(*without: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each module of the service."""
    for path in SERVICE.rglob("*.py"):
        if not any(path.is_relative_to(one) for one in without):
            yield path, path.read_text()


@pytest.mark.parametrize("verbs", VERBS)
def test_every_verb_takes_an_authorised_caller(verbs: type) -> None:
    """A verb takes an authorised command, or a view that was made of one; whatever takes less is the service's own."""
    for name, verb in inspect.getmembers(verbs, inspect.isfunction):
        if name.startswith("_") or name in OWN or READ.fullmatch(name):
            continue
        first = list(inspect.signature(verb).parameters.values())[1]
        assert first.annotation.startswith(("Authorised[", "View")), f"{verbs.__name__}.{name}"


def test_only_access_makes_one() -> None:
    """Nothing else in the service makes an authorised command or a view."""
    for path, text in modules(HOME):
        for node in ast.walk(ast.parse(text)):
            made = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            assert made not in ("Authorised", "View"), path


def test_only_access_decides() -> None:
    """What a principal may is looked at by nothing but core/access, and by accounts, which say so."""
    looked_at = re.compile(
        r"\b(?:by|principal)\.(?:tenant|key|owns_key|roles|entitlements|capabilities|trusted)\b|\brights\.[a-z]"
    )
    for path, text in modules(HOME, SERVICE / "accounts", SERVICE / "images"):
        found = looked_at.search(re.sub(r"import .*", "", text))
        assert found is None, f"{path}: {found}"


def test_no_floor_above_reads_past_it() -> None:
    """What the service reads for itself is not called where clients are answered, but for the few bytes that say what it is."""
    for floor in ("asgi", "protocols"):
        for path in (SERVICE / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
                own = name in OWN or any(name in vars(verbs) and READ.fullmatch(name) for verbs in VERBS)
                assert not own or name in DESCRIBED_BY, f"{path}: {name}"


def test_a_request_that_was_not_admitted() -> None:
    """It may do nothing, so a caller that forgets to admit it is refused."""
    record = new_upload(state=State.COMPLETE, attached=(PHOTO,))
    with pytest.raises(Forbidden):
        ACCESS(UNADMITTED, Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0))
    with pytest.raises(Forbidden):
        ACCESS(UNADMITTED, GetAttachment(ref=record.ref)).view(record)


def test_decided_at_once() -> None:
    """What depends on the caller and the command alone is refused before anything is read."""
    viewer = Principal(tenant=TENANT, subject=Subject("kelp"), capabilities=frozenset({Capability.VIEW}))
    create = Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0)
    with pytest.raises(Forbidden):
        ACCESS(viewer, create)
    with pytest.raises(Forbidden):
        ACCESS(KELP, GetEvents(tenant=TENANT, attachment=None, after="", limit=1))

    assert create is ACCESS(KELP, create).command


@pytest.mark.parametrize(("slot", "error"), [("mirror", ManagedElsewhere), ("none", SlotUnknown)])
def test_slots_that_are_not_changed(slot: str, error: type[Exception]) -> None:
    """A creation for a slot that another system fills, or that is none, is refused to everybody."""
    intent = Intent(slot=SlotRef(tenant=TENANT, kind="user", id="kelp", slot=slot))
    with pytest.raises(error):
        ACCESS(ANYBODY, Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0, intent=intent))


def test_an_append_fills_the_slot() -> None:
    """Who goes on with an upload has to be allowed to change the slot that it is for; a link was asked when it was made."""
    record = new_upload(
        creator=Subject("kelp"), intent=Intent(slot=SlotRef(tenant=TENANT, kind="user", id="x", slot="ProfilePhoto"))
    )
    append = Append(ref=record.ref, offset=0, completes=Completes.LATER, content_length=1)
    link = Principal(
        tenant=TENANT, subject=Subject("kelp"), capabilities=frozenset({Capability.UPLOAD}), key=record.key, owns_key=True
    )
    ACCESS(link, append).permit(record)
    with pytest.raises(Forbidden):
        ACCESS(KELP, append).permit(record)


def test_a_link_makes_no_links() -> None:
    """It cannot live longer than it was meant to by another in its place."""
    record = new_upload(state=State.COMPLETE, creator=Subject("kelp"))
    link = Principal(
        tenant=TENANT, subject=Subject("kelp"), capabilities=frozenset({Capability.VIEW}), key=record.key, owns_key=True
    )
    command = MakeLink(ref=record.ref, purpose=Capability.VIEW, seconds=1)
    ACCESS(KELP, command).permit(record)
    with pytest.raises(Forbidden, match="a link cannot be used to make links"):
        ACCESS(link, command).permit(record)


def test_what_is_seen() -> None:
    """Its owner and administrators see the original, others of the tenant what a slot shows; a link is sent to no other URL."""
    record = new_upload(state=State.COMPLETE, creator=Subject("kelp"), attached=(PHOTO,))
    wrack, boss = (Principal(tenant=TENANT, subject=Subject(name), roles=roles)
                   for name, roles in (("wrack", frozenset[str]()), ("boss", frozenset({ADMIN}))))  # fmt: skip
    link = Principal(tenant=TENANT, subject=Subject("wrack"), capabilities=frozenset({Capability.VIEW}), key=record.key)
    views = [ACCESS(by, GetAttachment(ref=record.ref)).view(record) for by in (KELP, boss, wrack, link)]

    assert [(True, True), (True, True), (False, True), (False, False)] == [(view.original, view.redirects) for view in views]
    with pytest.raises(UploadNotFound):
        ACCESS(link, GetAttachment(ref=Ref(tenant=TENANT, key=new_key()))).view(new_upload(state=State.COMPLETE))


def test_another_command_of_the_same_caller() -> None:
    """One command leads to another only if the caller may give that, too."""
    attacher = Principal(tenant=TENANT, subject=Subject("kelp"), capabilities=frozenset({Capability.ATTACH}))
    asked = ACCESS(attacher, SetPicture(slot=PHOTO, originator="pod"))
    record = new_upload(creator=Subject("kelp"))
    with pytest.raises(Forbidden):
        asked.then(Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0))
    with pytest.raises(Forbidden):
        asked.then(Cancel(ref=record.ref)).permit(record)

    assert ("pod", "pod") == (asked.by.originator, asked.then(Cancel(ref=record.ref)).by.originator)
    with pytest.raises(Forbidden, match="about no upload"):
        ACCESS(KELP, Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0)).permit(record)

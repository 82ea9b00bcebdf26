"""
The rules of who may do what, of which `holdfast.service.core.access.authorised` asks those that a command needs.

Each function refuses, or returns nothing; none of them waits.
"""

# Theory of operation
# -------------------
#
# Another tenant's things do not exist: `tenant_of` compares the tenant of a request with that of its principal before any dialect
# looks at it, and stores are always asked within a tenant.  Within a tenant what may not be done is Forbidden.
#
# An upload belongs to its creator and to the administrators.  Its content may be seen by others of the tenant once it is in a
# slot.  A slot is changed by those whom its policy names; who puts an attachment in has to own the attachment besides, for the
# right to see something is not the right to pass it on.
#
# A link is its maker, with one capability and one upload and nothing else: it tells whether that upload was the maker's own, and
# in a slot it puts or takes that upload, and leaves alone what others put there.

from __future__ import annotations

from holdfast.service.core.errors import Forbidden, UploadNotFound
from holdfast.service.core.names import canonical_guid
from holdfast.service.core.policies import Policy, Who
from holdfast.service.core.principals import ACCOUNT_HOLDER, ADMIN, Capability, Principal
from holdfast.storage.records import Key, SlotRef, State, Tenant, UploadRecord


def tenant_of(principal: Principal, tenant: Tenant, *, is_named: bool) -> Tenant:
    """
    Return the tenant that a request is about: *tenant*, or where the URL named none, the caller's own.

    :raises UploadNotFound: it is another's, so there is nothing to be seen of it.
    """
    if principal.tenant in (None, tenant):
        return tenant
    if is_named:
        raise UploadNotFound("there is nothing here")
    return principal.tenant


def refuse_without(principal: Principal, capability: Capability) -> None:
    """
    Refuse a caller without *capability*.

    :raises Forbidden: it has not got it.
    """
    if not principal.trusted and capability not in principal.capabilities:
        raise Forbidden(f"this needs the capability {capability}")


def refuse_creation(principal: Principal) -> None:
    """
    Refuse to begin an upload.

    :raises Forbidden: they may not.
    """
    refuse_without(principal, Capability.UPLOAD)
    if principal.key is not None:
        raise Forbidden("a link is for one upload")


def refuse_upload(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to change an upload, or to ask how far it is.

    :raises UploadNotFound, Forbidden: they may not.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.UPLOAD)
    if not owns(principal, record):
        raise Forbidden("the upload is somebody else's")


def refuse_question(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to tell how far an upload is: of a complete one, who may see it may also know that.

    :raises UploadNotFound, Forbidden: they may not.
    """
    if record.state is State.COMPLETE and Capability.UPLOAD not in principal.capabilities:
        refuse_view(principal, record)
    elif record.state is not State.COMPLETE or not record.attached:
        refuse_upload(principal, record)
    else:
        _refuse_other_key(principal, record)


def refuse_view(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to show content.

    :raises UploadNotFound, Forbidden: they may not see it.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.VIEW)
    if not owns(principal, record) and not record.attached:
        raise Forbidden("the upload is somebody else's")


def refuse_history(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to tell what happened to an upload, which tombstones tell as well.

    :raises UploadNotFound, Forbidden: the history is not for the caller.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.VIEW)
    if principal.key is not None or not owns(principal, record):
        raise Forbidden("the upload is somebody else's")


def refuse_attachment(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to put an attachment into any slot.

    :raises UploadNotFound, Forbidden: it is not theirs.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.ATTACH)
    if not owns(principal, record):
        raise Forbidden("the attachment is somebody else's")


def refuse_change(principal: Principal, policy: Policy, slot: SlotRef, attachment: Key | None) -> None:
    """
    Refuse to change a slot; *attachment* is the only one that is put there or taken away, if there is such a one.

    :raises UploadNotFound, Forbidden: its policy does not name them, or their link is for something else.
    """
    refuse_without(principal, Capability.ATTACH)
    if principal.key is not None and attachment is None:
        raise Forbidden("a link is for one upload")
    if principal.key not in (None, attachment):
        raise UploadNotFound("there is no such upload")
    if not (principal.trusted or any(_is(who, principal, policy, slot) for who in policy.who)):
        lacks = policy.entitlement if policy.who == {Who.ENTITLED} else None
        may = " or ".join(_called(who, policy) for who in Who if who in policy.who)
        raise Forbidden(f"{policy.slot} is changed by {may}", entitlement=lacks)


def refuse_administration(principal: Principal) -> None:
    """
    Refuse what only administrators of the tenant do.

    :raises Forbidden: they are none.
    """
    if principal.key is not None or not (principal.trusted or ADMIN in principal.roles):
        raise Forbidden("this is for administrators")


def refuse_reading(principal: Principal) -> None:
    """
    Refuse to tell what is known of objects.

    :raises Forbidden: they may not know.
    """
    refuse_without(principal, Capability.VIEW)
    if principal.key is not None:
        raise Forbidden("a link is for one upload")


def owns(principal: Principal, record: UploadRecord) -> bool:
    """
    Say whether an upload is the principal's own, or theirs to look after.
    """
    if principal.key is not None:
        return principal.owns_key and principal.key == record.key
    if principal.trusted or ADMIN in principal.roles:
        return True
    return principal.subject is not None and record.creator == principal.subject


def _refuse_other_key(principal: Principal, record: UploadRecord) -> None:
    if principal.key not in (None, record.key):
        raise UploadNotFound("there is no such upload")


def _called(who: Who, policy: Policy) -> str:
    match who:
        case Who.SELF:
            return f"the {policy.kind} itself"
        case Who.ADMIN:
            return "administrators"
        case Who.ACCOUNT_HOLDER:
            return "the account holder"
        case Who.ENTITLED:
            return f"who has the entitlement {policy.entitlement}"


def _canonical(name: str) -> str:
    # Of other names, two that differ in case only are two accounts.
    return canonical_guid(name) or name


def _is(who: Who, principal: Principal, policy: Policy, slot: SlotRef) -> bool:
    match who:
        case Who.SELF:
            return slot.kind == "user" and principal.subject is not None and _canonical(principal.subject) == _canonical(slot.id)
        case Who.ADMIN:
            return ADMIN in principal.roles
        case Who.ACCOUNT_HOLDER:
            return ACCOUNT_HOLDER in principal.roles
        case Who.ENTITLED:
            return policy.entitlement in principal.entitlements

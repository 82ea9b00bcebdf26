"""
The rules of rights, which `holdfast.service.core.access.authorised` applies to each command.

Each function refuses or returns None, without I/O.
"""

# Theory of operation
# -------------------
#
# What belongs to another tenant does not exist: `tenant_of` compares the tenant of a request with that of its principal before
# any dialect reads it, and stores are always asked within a tenant.  Within a tenant, what is not allowed is Forbidden.
#
# An upload belongs to its creator and to the administrators.  Other accounts of the tenant may see its content once it is in a
# slot. The policy of a slot names who may change it; attaching also requires to own the attachment, since the right to see
# something is not the right to pass it on.
#
# A link acts for its maker, with one capability and one upload: it records whether that upload was the maker's own.  In a slot
# it attaches or detaches that upload, and leaves other attachments alone.

from __future__ import annotations

from holdfast.service.core.errors import Forbidden, UploadNotFound
from holdfast.service.core.names import canonical_guid
from holdfast.service.core.policies import Policy, Who
from holdfast.service.core.principals import ACCOUNT_HOLDER, ADMIN, Capability, Principal
from holdfast.storage.records import Key, SlotRef, State, Tenant, UploadRecord


def tenant_of(principal: Principal, tenant: Tenant, *, is_named: bool) -> Tenant:
    """
    Return the tenant that a request is about: *tenant*, or, if the URL named none, that of the principal.

    :raises UploadNotFound: the URL names another tenant, whose uploads do not exist for this principal.
    """
    if principal.tenant in (None, tenant):
        return tenant
    if is_named:
        raise UploadNotFound("there is nothing here")
    return principal.tenant


def refuse_without(principal: Principal, capability: Capability) -> None:
    """
    Refuse a caller without *capability*.

    :raises Forbidden: the caller lacks it.
    """
    if not principal.trusted and capability not in principal.capabilities:
        raise Forbidden(f"this needs the capability {capability}")


def refuse_creation(principal: Principal) -> None:
    """
    Refuse to begin an upload.

    :raises Forbidden: the caller may not.
    """
    refuse_without(principal, Capability.UPLOAD)
    if principal.key is not None:
        raise Forbidden("a link is for one upload")


def refuse_upload(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to change an upload, or to report its offset.

    :raises UploadNotFound, Forbidden: the caller may not.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.UPLOAD)
    if not owns(principal, record):
        raise Forbidden("the upload belongs to another account")


def refuse_question(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to report the offset of an upload; every caller that may see a complete upload may know its offset.

    :raises UploadNotFound, Forbidden: the caller may not.
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

    :raises UploadNotFound, Forbidden: the caller may not see it.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.VIEW)
    if not owns(principal, record) and not record.attached:
        raise Forbidden("the upload belongs to another account")


def refuse_history(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to show the events of an upload, also of a tombstone.

    :raises UploadNotFound, Forbidden: the caller may not see them.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.VIEW)
    if principal.key is not None or not owns(principal, record):
        raise Forbidden("the upload belongs to another account")


def refuse_attachment(principal: Principal, record: UploadRecord) -> None:
    """
    Refuse to put an attachment into any slot.

    :raises UploadNotFound, Forbidden: the caller does not own it.
    """
    _refuse_other_key(principal, record)
    refuse_without(principal, Capability.ATTACH)
    if not owns(principal, record):
        raise Forbidden("the attachment belongs to another account")


def refuse_change(principal: Principal, policy: Policy, slot: SlotRef, attachment: Key | None) -> None:
    """
    Refuse to change a slot; *attachment* is the only one that is attached or detached, or None if there may be more.

    :raises UploadNotFound, Forbidden: the policy does not allow the caller, or its link is for another upload.
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
    Refuse what only administrators of the tenant may do.

    :raises Forbidden: the caller is no administrator.
    """
    if principal.key is not None or not (principal.trusted or ADMIN in principal.roles):
        raise Forbidden("this is for administrators")


def refuse_reading(principal: Principal) -> None:
    """
    Refuse to show objects.

    :raises Forbidden: the caller may not see them.
    """
    refuse_without(principal, Capability.VIEW)
    if principal.key is not None:
        raise Forbidden("a link is for one upload")


def owns(principal: Principal, record: UploadRecord) -> bool:
    """Say whether an upload belongs to the principal, or to its care as an administrator."""
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
            return f"accounts with the entitlement {policy.entitlement}"


def _canonical(name: str) -> str:
    # Other names are case-sensitive: two that differ only in case are two accounts.
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

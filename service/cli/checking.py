"""
The command ``holdfast check``: what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.service.core.uploads.check import Check
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError
from holdfast.service.stores import open_stores
from holdfast.storage.records import UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What there is to say, line by line, and whether facts and bytes agree (now)."""

    text: tuple[str, ...]
    agree: bool


async def checked(settings: Settings, key: str | None, *, repair: bool, settled: float) -> CheckReport:
    """
    Compare everything that *settings* name or, given *key*, explain that one upload.

    :raises SettingsError: there is nothing to compare.
    :raises StorageError: a store does not answer.
    """
    stores = open_stores(settings)
    try:
        if stores.inventory is None:
            raise SettingsError(f"HOLDFAST_BYTES_URL={settings.bytes_url}: this store cannot be gone through")
        check = Check(stores.metadata, stores.leased_uploads, stores.inventory, settled=settled)
        if key is None:
            return await _all(check, repair=repair)
        async for record in stores.metadata.uploads():
            if record.key == key:
                return await _one(check, record)
        return CheckReport(text=(f"{key}: no upload ever had this key, or its record is lost",), agree=False)
    finally:
        await stores.close()


async def _all(check: Check, *, repair: bool) -> CheckReport:
    text, left = [], 0
    async for finding in check.findings(repair=repair):
        done = "removed" if finding.repaired else "found"
        text.append(f"{done}: {finding.key}: {finding.name}: {finding.problem.value}: {finding.why}")
        left += not finding.repaired
    if not text:
        text.append("Records and content agree.")
    elif left:
        hint = "" if repair else "--repair removes what is stored for nothing; "
        text.append(f"{left} differences left: {hint}what is missing nobody can make up.")
    return CheckReport(text=tuple(text), agree=not left)


async def _one(check: Check, record: UploadRecord) -> CheckReport:
    told = await check.explain(record)
    return CheckReport(text=(f"{record.key} of tenant {record.tenant}:", *told.sentences), agree=told.whole)

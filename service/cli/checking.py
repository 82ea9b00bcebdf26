"""The output of the command ``holdfast check``."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.service.core.uploads.check import Check
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError
from holdfast.service.stores import open_stores
from holdfast.storage.records import UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The output, line by line, and whether records and content agree (now)."""

    text: tuple[str, ...]
    agree: bool


async def checked(settings: Settings, key: str | None, *, repair: bool, settled: float) -> CheckReport:
    """
    Compare all records and content of *settings* or, given *key*, explain that one upload.

    :raises SettingsError: the byte store cannot be compared.
    :raises StorageError: a store fails.
    """
    stores = open_stores(settings)
    try:
        if stores.inventory is None:
            raise SettingsError(f"HOLDFAST_BYTES_URL={settings.bytes_url}: this store has no inventory to compare records with")
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
        hint = "" if repair else "--repair removes content that no record needs; "
        text.append(f"{left} differences left: {hint}missing content cannot be restored.")
    return CheckReport(text=tuple(text), agree=not left)


async def _one(check: Check, record: UploadRecord) -> CheckReport:
    explained = await check.explain(record)
    return CheckReport(text=(f"{record.key} of tenant {record.tenant}:", *explained.sentences), agree=explained.whole)

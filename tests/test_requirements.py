"""
Each requirement of the three APIs that this service was created for, and the test that holds it.

Of the attachments API (Igloo): R-I0 sessions, R-I1 entries, R-I2 content, R-I3 associations, R-I4 what is read.  Of the group
avatar (Symphony) and the group picture (Ellipsis) each line of their documents.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.collected import collected

CREATION = "protocols/attachments_api/test_uploads_creation.py::test_creation::"
CONTENT = "protocols/attachments_api/test_uploads.py::test_content::"
AVATAR = "protocols/one_shot/test_group_avatar.py::"
PICTURE = "protocols/one_shot/test_group_picture.py::"
ASSOCIATION = "protocols/attachments_api/test_associations.py::"
SEEDS = "e2e/clients/test_seeds.py::"

# file::function, or file::function::the row of its table
REQUIREMENTS: dict[str, str] = {
    "R-I0 an active session is required": f"{SEEDS}test_igloo_without_a_session",
    "R-I0 another's photo needs an administrator": f"{SEEDS}test_igloo_photo_of_another",
    "R-I0 cookie iglooauth": "protocols/access/test_rights.py::test_cookie",
    "R-I0 bearer": "protocols/access/test_rights.py::test_matrix",
    "R-I1 an unknown or foreign community is 404": "protocols/access/test_rights.py::test_matrix",
    "R-I1 ContentLength": f"{CREATION}no ContentLength is 400",
    "R-I1 ContentLength over the cap": f"{CREATION}a ContentLength over the largest is 413",
    "R-I1 ContentType": f"{CREATION}no ContentType is 400",
    "R-I1 Name": f"{CREATION}no Name is 400",
    "R-I1 JSON": f"{CREATION}a JSON document is 201 with Location and the entry",
    "R-I1 form": f"{CREATION}a form with lower-camel keys is 201",
    "R-I1 names in any case": f"{CREATION}keys are case-insensitive in JSON",
    "R-I1 path-absolute Location": "protocols/attachments_api/test_uploads_creation.py::test_location_does_not_depend_on_proxies",
    "R-I1 key": "protocols/attachments_api/test_uploads_creation.py::test_keys_are_unguessable",
    "R-I1 Idempotency-Key": "protocols/attachments_api/test_uploads_creation.py::test_idempotency_key",
    "R-I2 no Content-Range": f"{CONTENT}no Content-Range is 400",
    "R-I2 no Content-Length": f"{CONTENT}no Content-Length is 411",
    "R-I2 another length": f"{CONTENT}another length than declared is 400",
    "R-I2 unknown length": f"{CONTENT}an unknown length is taken",
    "R-I2 two lengths": f"{CONTENT}a Content-Length longer than the range is 400",
    "R-I2 Content-Type": f"{CONTENT}a Content-Type that is not the entry's is 415",
    "R-I2 image/jpg": f"{CONTENT}image/jpg is image/jpeg",
    "R-I2 a part": f"{CONTENT}the first part is 202, with how far it is",
    "R-I2 the last part": f"{CONTENT}the part that reaches the length is 200",
    "R-I2 gap": f"{CONTENT}a gap is 409, with how far it is",
    "R-I2 overlap": f"{CONTENT}an overlap of equal bytes is taken, its tail appended",
    "R-I2 overlap of other bytes": f"{CONTENT}an overlap of other bytes is 409",
    "R-I2 already complete": f"{CONTENT}a complete upload with the same bytes is 200, again",
    "R-I2 status": "protocols/attachments_api/test_uploads.py::test_progress_in_fields",
    "R-I2 sniffed at the end": "protocols/attachments_api/test_uploads.py::test_content_is_sniffed",
    "R-I2 a connection that drops": "e2e/clients/test_photo.py::test_the_life_of_a_photo",
    "R-I2 two at once": "e2e/test_eviction.py::test_newcomer_takes_over",
    "R-I2 not the creator": "protocols/access/test_rights.py::test_matrix",
    "R-I3 type": f"{ASSOCIATION}test_refused",
    "R-I3 objectId": f"{ASSOCIATION}test_ways_to_write_it",
    "R-I3 authority": f"{SEEDS}test_igloo_photo_of_another",
    "R-I3 state": f"{ASSOCIATION}test_uploads_that_cannot_be_associated",
    "R-I3 content": f"{ASSOCIATION}test_content_decides",
    "R-I3 content that is a bomb or two things": f"{ASSOCIATION}test_images_that_are_refused",
    "R-I3 an animated GIF stays animated": f"{ASSOCIATION}test_animation_is_kept",
    "R-I3 body": f"{ASSOCIATION}test_no_content",
    "R-I3 success": f"{ASSOCIATION}test_associate",
    "R-I3 again": f"{ASSOCIATION}test_associate_again",
    "R-I3 replace": f"{ASSOCIATION}test_replace",
    "R-I3 external source": f"{ASSOCIATION}test_managed_elsewhere",
    "R-I3 If-Match": f"{ASSOCIATION}test_conditions",
    "R-I4 download": "protocols/attachments_api/test_uploads.py::test_attachment_document",
    "R-I4 thumbnails": "protocols/pictures/test_pictures.py::test_thumbnail",
    "R-I4 addressed by the object": "protocols/pictures/test_pictures.py::test_the_photo_of_now",
    "R-I4 unknown key": "protocols/pictures/test_pictures.py::test_what_is_no_image",
    "R-I4 detach": f"{ASSOCIATION}test_detach",
    "R-I4 list": f"{ASSOCIATION}test_list",
    "Symphony route and auth": f"{AVATAR}test_accounts",
    "Symphony X-Symphony-Host": f"{AVATAR}test_x_symphony_host",
    "Symphony groupId": f"{AVATAR}test_unknown_group",
    "Symphony body, base64, types": f"{AVATAR}test_bad_request",
    "Symphony base64 as it may be written": f"{AVATAR}test_ways_to_write_it",
    "Symphony the document's own example": f"{SEEDS}test_symphony_as_the_document_shows",
    "Symphony limit": f"{AVATAR}test_two_megabytes_are_taken",
    "Symphony statuses": f"{SEEDS}test_symphony_statuses",
    "Symphony 200": f"{AVATAR}test_the_whole_group",
    "Symphony identical bytes": f"{AVATAR}test_again",
    "Symphony concurrency": f"{AVATAR}test_if_match",
    "Symphony kinds of groups": f"{AVATAR}test_groups_without_avatars",
    "Symphony the official client": f"{SEEDS}test_symphony",
    "Ellipsis route": f"{SEEDS}test_ellipsis",
    "Ellipsis access": f"{PICTURE}test_access",
    "Ellipsis groupId, picture": f"{PICTURE}test_refused",
    "Ellipsis bare and data: URLs": f"{PICTURE}test_set",
    "Ellipsis answer and timing": f"{PICTURE}test_ten_blind_retries",
    "Ellipsis PATCH merges": f"{PICTURE}test_only_the_picture_is_touched",
}


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bool]:
    """Return what pytest runs of the files that are named, each with its row, and whether it runs for sure."""
    files = sorted({f"tests/{place.partition('::')[0]}" for place in REQUIREMENTS.values()})
    return collected(files, tmp_path_factory.mktemp("requirements"))


@pytest.mark.parametrize(("requirement", "place"), REQUIREMENTS.items(), ids=REQUIREMENTS)
def test_requirement(tests: Mapping[str, bool], requirement: str, place: str) -> None:
    """The test that is named is one that pytest runs, with its row; that none is skipped on the way is up to `tests.conftest`."""
    file, test, *row = place.split("::")
    name = f"tests/{file}::{test}"
    if row:
        found = [runs for each, runs in tests.items() if each == f"{name}[{row[0]}]"]
    else:
        found = [runs for each, runs in tests.items() if each.partition("[")[0] == name]

    assert found, requirement
    assert all(found), requirement

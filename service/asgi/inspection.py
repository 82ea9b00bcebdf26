"""Checks whether a slot accepts an image, by decoding it."""

from __future__ import annotations

from holdfast.service.core.errors import ImageInvalid, ImageTooLarge, NotAccepted, StoreFailed
from holdfast.service.core.policies import Policy
from holdfast.service.core.slots.acceptance import Read
from holdfast.service.images.errors import ImageRefused, ImagesBusy, NotAnImage, TooMany
from holdfast.service.images.pool import Images
from holdfast.service.images.turns import Claimant
from holdfast.storage.records import UploadRecord


class Inspection:
    """Decodes images on the threads of *images*."""

    def __init__(self, images: Images) -> None:
        self._images = images

    async def __call__(self, read: Read, policy: Policy, upload: UploadRecord) -> None:
        """
        Check the image that *read* returns against *policy*.

        :raises NotAccepted, ImageInvalid, ImageTooLarge: the slot does not accept the image.
        :raises StoreFailed: too many images wait to be decoded.
        """
        try:
            facts = await self._images.inspect(read, Claimant(upload.tenant, upload.creator))
        except NotAnImage as error:
            raise NotAccepted(str(error)) from error
        except TooMany as error:
            raise ImageTooLarge(str(error)) from error
        except ImageRefused as error:
            raise ImageInvalid(str(error)) from error
        except ImagesBusy as error:
            raise StoreFailed("too many images wait to be decoded; try again in a moment") from error
        pixels = facts.width * facts.height * facts.frames
        if policy.max_pixels is not None and pixels > policy.max_pixels:
            raise ImageTooLarge(f"the image has {pixels} pixels in all its frames, more than {policy.max_pixels}")

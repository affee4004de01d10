"""Settings that are encrypted at rest: what everything that has some has in common."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models

from clarion.lib.secrets import BadSeal, Box


class Sealed(models.Model):
    """What has settings that nobody reads in the database, bound to its `uid`: copied to another row they do not open."""

    # What the uid is of; it stands in what is sealed, so it never changes.
    SEALED_FOR: ClassVar[str]

    uid = models.UUIDField(default=uuid4, unique=True, editable=False)
    sealed_settings = models.TextField(editable=False)

    class Meta:
        abstract = True

    @property
    def settings(self) -> dict[str, Any]:
        """The clear settings: for what leaves, and for whoever may see them, without secrets.

        :raises BadSeal: none of our keys opens them
        """
        return Box(settings.SECRET_KEYS).open(self.sealed_settings, owner=self._owner)

    def seal(self, clear: Mapping[str, Any]) -> None:
        """Put `clear` in place of the settings; the caller saves."""
        self.sealed_settings = Box(settings.SECRET_KEYS).seal(clear, owner=self._owner)

    def opens_with(self, keys: Sequence[bytes]) -> bool:
        """Whether these keys open the settings."""
        try:
            Box(keys).open(self.sealed_settings, owner=self._owner)
        except BadSeal:
            return False
        return True

    @property
    def _owner(self) -> str:
        return f"{self.SEALED_FOR}:{self.uid}"

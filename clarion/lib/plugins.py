"""Finds plug-ins: classes with a `kind`, in the files of a folder and behind the entry points of a group.

Knows nothing of what they plug into.
"""

import functools
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import ClassVar, Generic, Protocol, TypeVar


class HasKind(Protocol):
    """What is plugged in has a name that is unique in its group."""

    kind: ClassVar[str]


Plugin = TypeVar("Plugin", bound=HasKind)


# As a kind is stored, and as it is spelt in addresses and settings.
KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")


class UnknownKind(LookupError):
    """Nothing of this kind is plugged in; the text names the kinds there are."""


class BadPlugin(Exception):
    """A plug-in that cannot be used; the text names where it comes from and what is wrong."""


class Plugins(Generic[Plugin]):
    """What is plugged into a package: every concrete subclass of `base`, each called a `what`."""

    def __init__(self, package: str, base: type[Plugin], *, group: str, what: str) -> None:
        self._package, self._base, self._group, self._what = package, base, group, what
        # The files of a folder do not change while we run.
        self.all = functools.cache(self._look)

    def find(self, kind: str) -> type[Plugin]:
        """Return the one of this kind.

        :raises UnknownKind:
        """
        found = self.all().get(kind)
        if found is None:
            raise UnknownKind(f"unknown {self._what} {kind!r}; known: {', '.join(self.kinds())}")
        return found

    def kinds(self) -> tuple[str, ...]:
        """Return every kind there is, in alphabetical order."""
        return tuple(self.all())

    def _look(self) -> dict[str, type[Plugin]]:
        return find_plugins(sys.modules[self._package], self._base, group=self._group)


def is_abstract(plugin: type[HasKind]) -> bool:
    """Whether it names no kind of its own: one in between, from which others are made.

    :raises BadPlugin: it names one that is none
    """
    if "kind" not in vars(plugin):
        return True
    if not KIND.fullmatch(plugin.kind):
        raise BadPlugin(f"{plugin.__qualname__}: the kind {plugin.kind!r} is not lower_snake_case")
    return False


def find_plugins(folder: ModuleType, base: type[Plugin], *, group: str) -> dict[str, type[Plugin]]:
    """Return every concrete subclass of `base`, by its kind, in the order of the kinds.

    Looked for in each file of `folder` (a package), then in the entry points of `group`.

    :raises BadPlugin: when an entry point cannot be loaded or is no such class, or a kind is taken twice
    """
    found: dict[str, type[Plugin]] = {}
    for source, plugin in (*_in_folder(folder, base), *_in_entry_points(group, base)):
        other = found.setdefault(plugin.kind, plugin)
        if other is not plugin:
            raise BadPlugin(f"{source}: the kind {plugin.kind!r} is already that of {other.__module__}")
    return dict(sorted(found.items()))


def _in_folder(folder: ModuleType, base: type[Plugin]) -> Iterator[tuple[str, type[Plugin]]]:
    for each in pkgutil.iter_modules(folder.__path__, prefix=f"{folder.__name__}."):
        module = importlib.import_module(each.name)
        for _, member in inspect.getmembers(module, inspect.isclass):
            # What a file imports belongs to another.
            if issubclass(member, base) and member.__module__ == each.name and not inspect.isabstract(member):
                yield each.name, member


def _in_entry_points(group: str, base: type[Plugin]) -> Iterator[tuple[str, type[Plugin]]]:
    for entry in entry_points(group=group):
        source = f"entry point {entry.name} = {entry.value}"
        try:
            plugin = entry.load()
        except Exception as error:
            raise BadPlugin(f"{source}: {type(error).__name__}: {error}") from error
        if not (inspect.isclass(plugin) and issubclass(plugin, base)) or inspect.isabstract(plugin):
            raise BadPlugin(f"{source}: not a {base.__name__} that can be used")
        yield source, plugin

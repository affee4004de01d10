"""How plug-ins are found: by being in the folder, or by another package's entry point."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from clarion.lib import plugins
from clarion.lib.plugins import BadPlugin, find_plugins

BASE = "import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n    def use(self): ...\n"
ONE = "from {package} import Base\nclass One(Base):\n    kind = 'one'\n    def use(self): ...\n"


@pytest.fixture
def folder(tmp_path, monkeypatch, request):
    """Return a function that makes a package of these files and imports it."""
    name = f"plugged_{abs(hash(request.node.name))}"

    def make(**files: str):
        path = tmp_path / name
        path.mkdir()
        (path / "__init__.py").write_text(BASE)
        for file, text in files.items():
            (path / f"{file}.py").write_text(text.replace("{package}", name))
        monkeypatch.syspath_prepend(tmp_path)
        return __import__(name)

    yield make
    for each in [each for each in sys.modules if each.split(".")[0] == name]:
        del sys.modules[each]


def entry(monkeypatch, value: str) -> None:
    """Pretend that another installed package has this entry point."""
    found = [EntryPoint(name="other", value=value, group="tests.plugged")]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [each for each in found if each.group == group]
    )


def found_in(package) -> dict[str, type]:
    return find_plugins(package, package.Base, group="tests.plugged")


def test_a_file_in_the_folder_is_a_plugin(folder):
    package = folder(two=ONE.replace("one", "two"), one=ONE)

    assert list(found_in(package)) == ["one", "two"]


def test_what_a_file_only_imports_and_what_is_abstract_is_none(folder):
    package = folder(
        one=ONE,
        two="from {package}.one import One",
        half="from {package} import Base\nclass Half(Base):\n    kind = 'half'\n",
    )

    assert list(found_in(package)) == ["one"]


def test_an_entry_point_is_a_plugin(folder, monkeypatch):
    package = folder(one=ONE)
    outside = Path(package.__path__[0]).parent / "plugged_outside.py"
    outside.write_text(ONE.replace("{package}", package.__name__).replace("'one'", "'far'"))
    entry(monkeypatch, "plugged_outside:One")

    assert list(found_in(package)) == ["far", "one"]
    del sys.modules["plugged_outside"]


@pytest.mark.parametrize(
    "value", ["no_such_module:Thing", "json:no_such_name", "json:JSONDecoder", "json:loads"]
)
def test_an_entry_point_that_is_no_plugin_is_named(folder, monkeypatch, value):
    package = folder(one=ONE)
    entry(monkeypatch, value)

    with pytest.raises(BadPlugin, match=f"other = {value}"):
        found_in(package)


def test_a_kind_belongs_to_one_plugin(folder):
    package = folder(one=ONE, two=ONE)

    with pytest.raises(BadPlugin, match=r"\.two: the kind 'one' is already that of .*\.one"):
        found_in(package)

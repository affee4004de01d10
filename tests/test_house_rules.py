"""The house rules hold, and each of them bites: it is fed what it forbids and seen to complain."""

import os
import shutil
import subprocess
import sys
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import NonInteractiveMigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from clarion.models import Customer
from tests import house_rules
from tests.house_rules import OF_EVERY_FILE, OF_PYTHON, OF_THE_PACKAGE, Complaint, Rule, Source, unexcused

# One process reads and parses the files, for all of them.
pytestmark = pytest.mark.xdist_group("house")

ROOT = Path(__file__).parent.parent
# What is ours to write and no text, or is written by tools.
NOT_READ = (".lock", ".png", ".svg", ".ico", ".woff2")


def tracked() -> list[str]:
    """What is in the repository, or will be with the next commit; in an unpacked archive, every file there is."""
    if (ROOT / ".git").exists() and (git := shutil.which("git")):
        listing = [git, "ls-files", "--cached", "--others", "--exclude-standard"]
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
        return [name for name in found.stdout.splitlines() if (ROOT / name).is_file()]
    places = ("bench", "clarion", "docs", "requirements", "tests")
    paths = [path for place in places for path in (ROOT / place).rglob("*") if path.is_file()]
    return [str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts]


@cache
def texts() -> list[Source]:
    """Every file with text; read and parsed once for all rules."""
    return [Source(name, (ROOT / name).read_text()) for name in tracked() if not name.endswith(NOT_READ)]


def sources(ending: str) -> list[Source]:
    return [each for each in texts() if each.path.endswith(ending)]


def package() -> list[Source]:
    """Our own code in clarion/; what Django writes is held to no rule."""
    inside = [each for each in sources(".py") if each.path.startswith("clarion/")]
    return [each for each in inside if not each.path.startswith("clarion/migrations/")]


def named(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", OF_THE_PACKAGE, ids=named)
def test_the_package_keeps(rule: Rule) -> None:
    complaints = [found for source in package() for found in rule(source)]

    assert unexcused(rule.__name__, iter(complaints)) == []


@pytest.mark.parametrize("rule", OF_PYTHON, ids=named)
def test_every_python_file_keeps(rule: Rule) -> None:
    everything = [each for each in sources(".py") if "/migrations/" not in each.path]

    assert unexcused(rule.__name__, (found for source in everything for found in rule(source))) == []


@pytest.mark.parametrize("rule", OF_EVERY_FILE, ids=named)
def test_every_file_keeps(rule: Rule) -> None:
    assert unexcused(rule.__name__, (found for source in texts() for found in rule(source))) == []


def test_every_model_belongs_to_a_tenant() -> None:
    assert unexcused("model_has_a_tenant", house_rules.model_has_a_tenant()) == []


def test_locks_hold_names_versions_and_hashes_only() -> None:
    locks = [each for each in sources(".txt") if each.path.startswith("requirements/")]

    assert locks
    assert [found for lock in locks for found in house_rules.lock_works_with_any_mirror(lock)] == []


def test_no_exception_outlives_its_reason() -> None:
    rules = {rule.__name__: rule for rule in (*OF_THE_PACKAGE, *OF_PYTHON, *OF_EVERY_FILE)}
    needed = {"model_has_a_tenant": {each.place for each in house_rules.model_has_a_tenant()}}
    for name in house_rules.EXCEPTIONS.keys() & rules.keys():
        needed[name] = {found.place for source in package() for found in rules[name](source)}

    stale = {name: places.keys() - needed.get(name, set()) for name, places in house_rules.EXCEPTIONS.items()}
    assert {name: places for name, places in stale.items() if places} == {}


WITH_DOCSTRING = '"""What it is for."""\n\n'
LONG_FUNCTION = "def long() -> None:\n" + "    pass\n" * 50
TEETH = [
    (house_rules.file_is_short, "clarion/x.py", WITH_DOCSTRING + "x = 1\n" * 299),
    (house_rules.functions_are_short, "clarion/x.py", LONG_FUNCTION),
    (house_rules.functions_are_short, "clarion/x.py", f"async {LONG_FUNCTION}"),
    (house_rules.file_says_what_it_is_for, "clarion/x.py", "# not a docstring\nx = 1\n"),
    (house_rules.file_says_what_it_is_for, "clarion/x.py", ""),
    (house_rules.sends_in_dispatch, "clarion/api/x.py", "await gateway.send(message)"),
    (house_rules.sends_in_dispatch, "clarion/flows/x.py", "find('probe')(config).send(message)"),
    (house_rules.environment_in_settings, "clarion/worker.py", "x = os.environ['X']"),
    (house_rules.environment_in_settings, "clarion/worker.py", "x = os.getenv('X')"),
    (house_rules.environment_in_settings, "clarion/worker.py", "x = __import__('os').environ.get('X')"),
    (house_rules.environment_in_settings, "clarion/lib/x.py", "from os import environ"),
    (house_rules.clock_in_doors, "clarion/flows/x.py", "x = datetime.now(UTC)"),
    (house_rules.clock_in_doors, "clarion/flows/x.py", "import datetime\nx = datetime.datetime.utcnow()"),
    (house_rules.clock_in_doors, "clarion/outbox/x.py", "x = timezone.now()"),
    (house_rules.clock_in_doors, "clarion/models/x.py", "created_at = DateTimeField(default=timezone.now)"),
    (house_rules.clock_in_doors, "clarion/lib/x.py", "import time\nx = time.time()"),
    (house_rules.clock_in_doors, "clarion/lib/x.py", "from time import time"),
    (house_rules.async_at_the_edges, "clarion/flows/x.py", "async def create(): ..."),
    (house_rules.queries_of_one_tenant, "clarion/api/x.py", "def f():\n    Customer.objects.get(pk=1)"),
    (house_rules.queries_of_one_tenant, "clarion/flows/x.py", "rows = models.Message.objects.all()"),
    (house_rules.queries_of_one_tenant, "clarion/flows/x.py", "find = Mailing.objects.filter"),
    (house_rules.no_signals, "clarion/models/x.py", "from django.db.models.signals import post_save"),
    (house_rules.no_signals, "clarion/apps.py", "from django.dispatch import receiver"),
    (house_rules.no_save_override, "clarion/models/x.py", "class X:\n    def save(self): ..."),
    (house_rules.file_name_says_something, "clarion/lib/utils.py", ""),
    (house_rules.file_name_says_something, "clarion/services/mail.py", ""),
    (house_rules.prints_in_the_terminal, "clarion/worker.py", "print('hello')"),
    (house_rules.flows_stay_off_the_network, "clarion/flows/x.py", "import aiohttp"),
    (house_rules.flows_stay_off_the_network, "clarion/flows/x.py", "from urllib.request import urlopen"),
    (house_rules.flows_stay_off_the_network, "clarion/flows/x.py", "from clarion.lib.http import HttpClient"),
    (house_rules.nothing_is_unfinished, "docs/x.md", "# TO" + "DO: later"),
    (house_rules.nothing_is_unfinished, "clarion/x.py", "raise NotImplemented" + "Error"),
    (house_rules.names_no_registry, "docs/x.md", "pip install -i https:" + "//pypi.example.com/simple x"),
    (house_rules.names_no_registry, "x.toml", "index-" + "url = 'somewhere'"),
    (house_rules.names_no_machine, "docs/x.md", "see /" + "home/bob/notes"),
    (house_rules.names_no_machine, "tests/x.py", "path = '/" + "work/main'"),
    (house_rules.lock_works_with_any_mirror, "requirements/x.txt", "x @ file:" + "///x.whl"),
    (house_rules.lock_works_with_any_mirror, "requirements/x.txt", "x @ https:" + "//example.com/x.whl"),
    (house_rules.lock_works_with_any_mirror, "requirements/x.txt", "--extra-index-" + "url somewhere"),
]


@pytest.mark.parametrize(("rule", "path", "text"), TEETH, ids=[named(rule) for rule, _, _ in TEETH])
def test_it_bites(rule: Rule, path: str, text: str) -> None:
    found = list(rule(Source(path, text)))

    assert found
    assert all(complaint.place.startswith(path) and "line " in complaint.what for complaint in found)


def test_every_rule_has_a_tooth() -> None:
    rules = {*OF_THE_PACKAGE, *OF_PYTHON, *OF_EVERY_FILE, house_rules.lock_works_with_any_mirror}

    assert {rule for rule, _, _ in TEETH} == rules


def test_an_exception_excuses_its_own_place_only() -> None:
    text = "import os\nx = os.environ['X']"
    excused, other = (Source(f"clarion/{name}.py", text) for name in ("asgi", "urls"))

    assert unexcused("environment_in_settings", house_rules.environment_in_settings(excused)) == []
    assert unexcused("environment_in_settings", house_rules.environment_in_settings(other)) != []


def test_a_model_without_a_tenant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house_rules, "tenant_owned", lambda: {"Customer"})

    assert Complaint("Mailing", "belongs to no tenant") in list(house_rules.model_has_a_tenant())


@pytest.mark.slow
def test_no_migration_is_missing(db: None) -> None:
    told = StringIO()
    try:
        call_command("makemigrations", check_changes=True, dry_run=True, stdout=told)
    except (CommandError, SystemExit):
        pytest.fail(f"the models have changed; make a migration:\n{told.getvalue()}")


def test_a_missing_migration_would_be_seen() -> None:
    loader = MigrationLoader(None)
    state = ProjectState.from_apps(loader.project_state().apps)
    changed = ModelState.from_model(Customer)
    changed.name = "Stranger"
    state.add_model(changed)

    questioner = NonInteractiveMigrationQuestioner()
    missing = MigrationAutodetector(loader.project_state(), state, questioner).changes(graph=loader.graph)
    assert [str(each) for each in missing["clarion"][0].operations] != []


# A contract, a file of the package, what is written at its end, and what the report must then say.
PLANTS = [
    (
        "Arrows point down only",
        "models/workers.py",
        "import clarion.gateways",
        "clarion.models is not allowed to import clarion.gateways",
    ),
    ("Arrows point down only", "stray.py", "", "clarion.stray"),
    (
        "Exits and tools never touch Django or the settings",
        "gateways/log.py",
        "import django",
        "clarion.gateways is not allowed to import django",
    ),
    (
        "The sandbox knows lib only",
        "sandbox/tally.py",
        "import clarion.databases.url",
        "clarion.sandbox is not allowed to import clarion.databases",
    ),
    (
        "Database backends read no settings",
        "databases/url.py",
        "import clarion.settings",
        "clarion.databases is not allowed to import clarion.settings",
    ),
    (
        "Nobody names a concrete gateway or destination",
        "flows/pruning.py",
        "import clarion.gateways.log",
        "clarion.gateways.log",
    ),
    (
        "Gateways do not know each other",
        "gateways/log.py",
        "import clarion.gateways.probe",
        "clarion.gateways.log is not allowed to import clarion.gateways.probe",
    ),
    (
        "Nobody names a concrete gateway or destination",
        "flows/pruning.py",
        "import clarion.destinations.sqs",
        "clarion.destinations.sqs",
    ),
    (
        "Destinations do not know each other",
        "destinations/sqs.py",
        "import clarion.destinations.sns",
        "clarion.destinations.sqs is not allowed to import clarion.destinations.sns",
    ),
    ("One HTTP client", "lib/times.py", "import requests", "clarion is not allowed to import requests"),
    ("No cycles, at any depth", "flows/doubts.py", "import clarion.flows.traces", "in clarion.flows."),
    ("No cycles, at any depth", "flows/traces.py", "import clarion.flows.doubts", "in clarion.flows."),
]


def lint_imports(folder: Path) -> str:
    """Return what import-linter says about the package in this folder."""
    program = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    command = [program, "--config", "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    pytest.importorskip("importlinter", reason="make lint installs it, and runs it on the package itself")
    shutil.copytree(ROOT / "clarion", tmp_path / "clarion", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.thorough
def test_the_import_contracts_are_kept(copied: Path) -> None:
    report = lint_imports(copied)

    assert "0 broken." in report, report


@pytest.mark.thorough
def test_each_import_contract_breaks_on_a_violation(copied: Path) -> None:
    for _, file, line, _ in PLANTS:
        path = copied / "clarion" / file
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")

    report = lint_imports(copied)

    kept = [contract for contract, *_ in PLANTS if f"{contract} BROKEN" not in report]
    untold = [words for *_, words in PLANTS if words not in " ".join(report.split())]
    assert (kept, untold) == ([], []), report
    assert report.count(" BROKEN") == len({contract for contract, *_ in PLANTS}), "a contract without a tooth"

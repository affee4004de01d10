"""What the documents say is so: drawings, words, settings, names of files and functions, links, and the README's calls."""

import asyncio
import inspect
import json
import re
import runpy
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import models

import clarion.models
from clarion.gateways import MessageContent
from clarion.lib.sending import Receipt, SendError
from tests.contracts.parcels import outcome_of
from tests.contracts.test_gateways import Rerouted
from tests.drawings import DOCS, DRAWINGS, redrawn
from tests.hub import PATIENCE, running_hub, wait_until
from tests.sandbox.scripted import answer, answering, scripted

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

LINK = re.compile(r"\]\(([^)\s]+)\)")
# A file, perhaps with what is defined in it: `outbox/claims.py:rescue`.
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|toml|json|sh))(?::([\w.]+))?`")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# Files that a page tells the reader to make.
NOT_THERE = {"clarion/gateways/heron.py", "tests/samples/gateways/heron.json"}
NOT_THERE |= {"clarion/destinations/osprey.py", "tests/samples/destinations/osprey.json"}


@every_page
def test_what_is_drawn_from_the_code_is_as_the_code_has_it(page):
    text = page.read_text()

    assert redrawn(text) == text, "run: python -m tests.drawings"


def test_every_drawing_has_its_place():
    everything = "".join(page.read_text() for page in PAGES)

    assert [name for name in DRAWINGS if f"<!-- drawn: {name} -->" not in everything] == []


@every_page
def test_every_link_leads_somewhere(page):
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path)
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@every_page
def test_every_file_and_function_that_is_named_is_there(page):
    missing = []
    for path, name in NAMED.findall(page.read_text()):
        found = [base / path for base in (ROOT, ROOT / "clarion") if (base / path).exists()]
        last = name.rpartition(".")[2]
        if path not in NOT_THERE and not found:
            missing.append(path)
        elif last and not re.search(rf"\b(def|class) {last}\b", found[0].read_text()):
            missing.append(f"{path}:{name}")

    assert missing == []


def test_every_model_is_in_the_glossary():
    glossary = (DOCS / "glossary.md").read_text()
    modules = [member for _, member in inspect.getmembers(clarion.models, inspect.ismodule)]
    stored = {
        name
        for module in modules
        for name, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, models.Model) and member.__module__.startswith("clarion.")
    }

    assert "Outgoing" in stored
    assert [name for name in sorted(stored) if f"`{name}`" not in glossary] == []


def test_every_metric_is_explained():
    operations = (DOCS / "operations.md").read_text()
    sources = [path.read_text() for path in (ROOT / "clarion").rglob("*.py")]
    named = re.compile(r'"(clarion_[a-z_]+)"')
    metrics = {name for source in sources for name in named.findall(source)}

    assert len(metrics) >= 5
    assert [name for name in sorted(metrics) if f"`{name}" not in operations] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_picture_of_the_arrows_is_the_rule_that_is_checked(page):
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(rule["layers"] for rule in rules if rule["type"] == "layers")

    assert " → ".join(layers) in (ROOT / page).read_text()


def test_every_room_and_file_at_the_top_is_in_the_tree():
    tree = (DOCS / "architecture.md").read_text()
    here = [
        path
        for path in (ROOT / "clarion").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    shown = [f"── {path.name}{'/' if path.is_dir() else ''} " for path in here if path.name != "__init__.py"]

    assert [name for name in shown if name not in tree] == []


def test_every_decision_has_its_five_headings_and_its_place_on_the_site():
    site = (ROOT / "zensical.toml").read_text()
    headings = ["Status", "Context", "Decision", "Consequences", "Alternatives"]
    for number, page in enumerate(sorted((DOCS / "adr").glob("*.md")), start=1):
        text = page.read_text()

        assert page.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == headings
        assert f'"adr/{page.name}"' in site


def test_the_gateway_of_the_page_works_as_its_sample_says(tmp_path):
    page = (DOCS / "adding-a-gateway.md").read_text()
    (tmp_path / "heron.py").write_text(fenced(page, "python"))
    sample = json.loads(fenced(page, "json"))
    gateway = runpy.run_path(str(tmp_path / "heron.py"))["Heron"]
    accepted = sample["http"]["accepted"]

    async def play(caller: Any) -> None:
        assert (await caller.request()).path == sample["http"]["route"]
        await caller.say(answer(accepted["status"], accepted["body"].encode()))

    async def send() -> Receipt:
        async with scripted(play) as server, Rerouted(sample["http"]["origin"], server.port) as http:
            message = MessageContent(id=7, to=sample["to"], text="hello")
            return await gateway(gateway.Config(**sample["config"]), http).send(message)

    assert asyncio.run(send()) == Receipt(**sample["receipt"])


def test_the_destination_of_the_page_works_as_its_sample_says(tmp_path):
    page = (DOCS / "adding-a-destination.md").read_text()
    (tmp_path / "osprey.py").write_text(fenced(page, "python"))
    sample = json.loads(fenced(page, "json"))
    destination = runpy.run_path(str(tmp_path / "osprey.py"))["Osprey"]
    accepted = sample["http"]["accepted"]

    async def send(raw: bytes) -> Receipt | SendError:
        async with (
            scripted(answering(raw)) as server,
            Rerouted(sample["http"]["origin"], server.port) as http,
        ):
            outcome = await outcome_of(destination(destination.Config(**sample["config"]), http))
            assert [request.path for request in server.requests] == [sample["http"]["route"]]
            return outcome

    taken = asyncio.run(send(answer(accepted["status"], accepted["body"].encode())))
    assert taken == Receipt(**sample["receipt"])
    for status, expected in sample["answers"].items():
        assert type(asyncio.run(send(answer(int(status), b"what nobody promised")))).__name__ == expected


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.thorough
def test_the_calls_of_the_readme_answer_as_it_says(tmp_path):
    calls = list(calls_of(ROOT / "README.md"))

    # Not the shared hub: the README's ids are those of a fresh one.
    with running_hub(tmp_path) as hub:
        for command, printed in calls:
            expected = alike(printed)
            assert answer_of(command, f"127.0.0.1:{hub.port}", expected=expected) == expected
    assert len(calls) == 3


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitLab, GitHub and the site give a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fenced(text: str, language: str) -> str:
    """Return the first block of this language."""
    return text.partition(f"```{language}\n")[2].partition("```")[0]


def calls_of(page: Path) -> Iterator[tuple[list[str], str]]:
    """Give each curl of the page's consoles as a command, and what is printed below it."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if block.startswith("$ curl "):
            command, _, printed = block.removeprefix("$ ").replace("\\\n", "").partition("\n")
            yield shlex.split(command), printed


def answer_of(command: list[str], address: str, *, expected: str) -> str:
    """Return what a call answers; one that only reads is repeated until it is the expected answer, or too late."""
    command = [part.replace("localhost:8000", address) for part in command]
    answers: list[str] = []

    def is_as_expected() -> bool:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
        answers.append(alike(done.stdout))
        return answers[-1] == expected

    wait_until(is_as_expected, patience=0 if "-d" in command else PATIENCE)
    return answers[-1]


def alike(answer: str) -> str:
    """Return a JSON answer without what differs from run to run: moments, and how fast it went."""
    text = re.sub(r'"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z"', '"(a moment)"', answer.strip())
    text = re.sub(r'("rate_per_second": )\d+\.\d', r'\1"(a rate)"', text)
    return json.dumps(json.loads(text), indent=1)

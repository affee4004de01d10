"""`clarion import` and `clarion export`: with a worker or without, from files and streams, and what they end with."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clarion.cli import app, files
from clarion.flows import imports
from clarion.lib import logs
from clarion.models import Customer, Import, Tenant
from tests.conftest import Clock
from tests.factories import make_customer
from tests.outbox.rounds import enlist

DONE, FAILED, WRONG_USE, NOT_FOUND, REFUSED = range(5)

Clarion = Callable[..., Result]

TABLE = "phone;city\n70000000001;Köln\n8000;Köln\n"


@pytest.fixture
def clarion(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clarion]:
    """Return a function that runs `clarion` with these words, and with this on its standard input."""
    monkeypatch.setenv("COLUMNS", "400")
    yield lambda *words, given="": CliRunner().invoke(app, [str(word) for word in words], input=given)
    # Each run sends the logs to the standard error that it has.
    logs.set_up(level="warning", form="text")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clients.csv"
    path.write_text(TABLE)
    return path


def test_a_file_is_imported_without_a_worker(clarion: Clarion, tenant: Tenant, file: Path) -> None:
    result = clarion("import", "shop", file)

    assert result.exit_code == DONE
    assert "No worker is running; this program does its work." in result.stderr
    assert "2 rows, 1 created, 0 updated, 0 unchanged, 1 refused." in result.stdout
    refused = file.with_name("clients.refused.csv")
    assert str(refused) in result.stdout
    assert refused.read_text().splitlines()[1] == '3;"phone: must be 7 and ten more digits";8000;Köln'
    assert Customer.objects.get().attributes == {"city": "Köln"}


def test_refused_rows_that_somebody_mends_are_not_overwritten(
    clarion: Clarion, tenant: Tenant, file: Path
) -> None:
    mended = file.with_name("clients.refused.csv")
    mended.write_text("mended")

    result = clarion("import", "shop", file, "--json")

    told = json.loads(result.stdout)
    assert mended.read_text() == "mended"
    assert Path(told["refused_file"]).name == f"clients.refused-{told['id']}.csv"
    assert Path(told["refused_file"]).exists()


def test_a_stream_is_imported_with_what_is_said_of_it(
    clarion: Clarion, tenant: Tenant, tmp_path: Path
) -> None:
    refused = tmp_path / "wrong.csv"

    result = clarion("import", "shop", "-", "--delimiter", ";", "--refused", refused, "--json", given=TABLE)

    assert result.exit_code == DONE
    told = json.loads(result.stdout)
    expected: dict[str, Any] = {
        "status": "DONE",
        "why": None,
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ";",
        "rows": 2,
        "created": 1,
        "refused": 1,
        "refused_file": str(refused),
    }
    assert expected.items() <= told.items()
    assert refused.exists()


def test_a_file_that_fails_says_why(clarion: Clarion, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text("name;city\nAnn;Köln\n")

    result = clarion("import", "shop", file)

    assert result.exit_code == FAILED
    assert "no column phone" in result.stderr
    assert not file.with_name("names.refused.csv").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("import", "nobody", "{file}"), NOT_FOUND, "There is no tenant nobody"),
        (("import", "shop", "{file}.no"), NOT_FOUND, "There is no file"),
        (("import", "shop", "{folder}"), FAILED, "cannot be read: Is a directory"),
        (("import", "shop", "{file}", "--encoding", "no"), WRONG_USE, "--encoding must be"),
        (("import", "shop", "{file}", "--format", "xls"), WRONG_USE, "--format must be csv or ndjson"),
        (("import", "shop", "{workbook}"), REFUSED, "workbook"),
        (("import", "shop", "{empty}"), REFUSED, "The file is empty."),
        (("export", "shop", "{file}", "--format", "xls"), WRONG_USE, "--format must be csv or ndjson"),
        (("export", "shop", "{file}", "--filter", "{{"), WRONG_USE, "--filter is not JSON"),
        (("export", "shop", "{file}", "--filter", "[]"), WRONG_USE, "--filter: "),
        (("export", "shop", "{folder}/no/x.csv"), FAILED, "cannot be written: No such file"),
    ],
)
def test_what_cannot_be_done_says_which_kind_of_no_it_is(
    clarion: Clarion,
    tenant: Tenant,
    file: Path,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    empty, workbook = file.with_name("empty.csv"), file.with_name("book.xlsx")
    empty.touch()
    workbook.write_bytes(b"PK\x03\x04")
    names = {"file": file, "folder": file.parent, "empty": empty, "workbook": workbook}

    result = clarion(*(word.format(**names) for word in words))

    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert file.read_text() == TABLE


@pytest.mark.parametrize("name", ["out.csv", "out.ndjson", "out.jsonl"])
def test_clients_are_exported_in_the_format_of_the_name(
    clarion: Clarion,
    tenant: Tenant,
    tmp_path: Path,
    name: str,
) -> None:
    make_customer(tenant, phone="70000000001", tag="vip")
    make_customer(tenant, phone="70000000002")

    result = clarion("export", "shop", tmp_path / name, "--tag", "VIP", "--json")

    text = (tmp_path / name).read_text("utf-8-sig")
    assert (result.exit_code, json.loads(result.stdout)["rows"]) == (DONE, 1)
    assert text.startswith("{" if name.endswith("l") or name.endswith("ndjson") else "clarion_id,phone,")
    assert ("70000000001" in text, "70000000002" in text) == (True, False)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_export_can_be_piped(clarion: Clarion, tenant: Tenant) -> None:
    make_customer(tenant, phone="70000000001")

    result = clarion("export", "shop", "-", "--format", "ndjson")

    assert json.loads(result.stdout)["phone"] == "70000000001"
    assert "1 clients" in result.stderr


def test_a_living_worker_is_left_its_work(
    clarion: Clarion,
    tenant: Tenant,
    file: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here the worker does it in the pause between two looks."""
    enlist(clock)
    monkeypatch.setattr(files.time, "sleep", lambda _: imports.run_due(clock()))

    result = clarion("import", "shop", file)

    assert result.exit_code == DONE
    assert "No worker" not in result.stderr
    assert Import.objects.get().created == 1

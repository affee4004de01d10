"""Where an installation lives, broken in one way each: its folders and files, its keys, its port."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from clarion.cli.checkup import database, folder
from clarion.models import GatewayAccount, Tenant
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.doctor.conftest import Doctor, only
from tests.subscribers import make_subscription

NOBODY = 65534  # has no rights anywhere, by custom


def test_a_key_file_that_others_may_read_is_wrong(doctor: Doctor, installation: Path) -> None:
    (installation / "secret.keys").chmod(0o604)

    (line, _) = doctor()["keys"]

    assert (line["state"], line["mend"]) == ("wrong", f"chmod 600 {installation / 'secret.keys'}")


def test_a_key_file_that_a_group_may_read_is_worth_a_warning(doctor: Doctor, installation: Path) -> None:
    (installation / "secret.keys").chmod(0o640)

    assert [line["state"] for line in doctor()["keys"]] == ["warning", "ok"]


def test_a_lost_key_file_is_named_with_what_is_lost_by_it_and_none_is_made(
    doctor: Doctor, installation: Path, tenant: Tenant, clock: Clock
) -> None:
    (installation / "secret.keys").unlink()
    make_subscription(tenant, clock())

    state, seen, mend = only(doctor()["keys"])

    accounts = GatewayAccount.objects.count()
    assert (state, mend) == ("wrong", f"cp BACKUP/secret.keys {installation / 'secret.keys'}")
    assert f"the settings of {accounts} accounts and 1 subscriptions" in seen
    assert list(installation.iterdir()) == []


def test_another_key_than_the_one_that_sealed_is_wrong(
    doctor: Doctor, installation: Path, tenant: Tenant
) -> None:
    (installation / "secret.keys").write_bytes(Fernet.generate_key())

    state, seen, mend = only(doctor()["keys"])

    assert (state, "shop/log" in seen) == ("wrong", True)
    assert mend.endswith("accounts change shop log --settings -")


def test_a_subscription_that_another_key_sealed_is_named_beside_the_accounts(
    doctor: Doctor, installation: Path, tenant: Tenant, clock: Clock
) -> None:
    subscription = make_subscription(tenant, clock())
    for n in range(6):
        make_subscription(tenant, clock(), ref=f"more-{n}")
    well = only(doctor()["keys"])
    subscription.sealed_settings = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    subscription.save()
    one = only(doctor()["keys"])
    (installation / "secret.keys").write_bytes(Fernet.generate_key())
    both = doctor()["keys"]

    assert (well[0], well[1].endswith("accounts and 7 subscriptions")) == ("ok", True)
    assert (one[0], "the settings of subscriptions shop/orders were sealed" in one[1]) == ("wrong", True)
    assert one[2] == f"cp BACKUP/secret.keys {installation / 'secret.keys'}"
    assert [line["state"] for line in both] == ["wrong", "wrong"]
    assert "shop/more-3 and 2 more" in both[1]["seen"]


def test_a_key_file_without_a_key_is_wrong_and_is_not_shown(doctor: Doctor, installation: Path) -> None:
    (installation / "secret.keys").write_text("hunter2")

    state, seen, _ = only(doctor()["keys"])

    assert (state, "line 1" in seen, "hunter2" in seen) == ("wrong", True, False)


def test_a_port_that_a_stranger_holds_is_wrong(doctor: Doctor, settings: Any, sender: RunningSender) -> None:
    port = int(sender.base_url.rpartition(":")[2])
    settings.CLARION = settings.CLARION.model_copy(update={"port": port})

    state, seen, mend = only(doctor()["port"])

    assert (state, "held by another program" in seen, f"PORT={port + 1}" in mend) == ("wrong", True, True)


def test_a_stranger_that_hangs_up_is_one_too(doctor: Doctor, settings: Any) -> None:
    with socket.socket() as bound:
        # It is taken, and nobody accepts.
        bound.bind(("127.0.0.1", 0))
        settings.CLARION = settings.CLARION.model_copy(update={"port": bound.getsockname()[1]})

        assert only(doctor()["port"])[0] == "wrong"


def test_a_folder_that_this_user_may_not_write_is_wrong() -> None:
    # Not in pytest's own folder, which only its user may enter.
    with tempfile.TemporaryDirectory(prefix="clarion-") as name:
        Path(name).chmod(0o500)
        before = os.geteuid()
        if before == 0:
            # Root may write everything.
            os.chown(name, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            remarks = list(folder.look_at(Path(name), holds_database=True))
        finally:
            os.seteuid(before)

    assert [(remark.state, remark.mend) for remark in remarks] == [("wrong", f"chmod u+rwx {name}")]


def test_a_folder_that_everybody_may_read_is_worth_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    (remark,) = folder.look_at(tmp_path, holds_database=False)

    assert (remark.state, remark.mend) == ("warning", f"chmod o-rwx {tmp_path}")


def test_a_folder_that_is_a_file_or_not_there_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    remarks = [*folder.look_at(tmp_path / "file", holds_database=True)]
    remarks += folder.look_at(tmp_path / "none", holds_database=True)

    assert [remark.state for remark in remarks] == ["wrong", "wrong"]
    assert remarks[1].mend.endswith(" migrate")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server looks after its own files")
@pytest.mark.parametrize(
    ("content", "mend"), [(None, " migrate"), (b"", " migrate"), (b"%PDF", "cp BACKUP/clarion.sqlite3 ")]
)
def test_a_file_that_is_no_database_is_wrong_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, mend: str
) -> None:
    file = tmp_path / "clarion.sqlite3"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))

    (remark,) = database.reachable()

    assert (remark.state, mend in remark.mend) == ("wrong", True)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [content] * (content is not None)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server looks after its own files")
def test_a_log_that_nobody_writes_back_is_worth_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "clarion.sqlite3"))
    with (tmp_path / "clarion.sqlite3-wal").open("wb") as log:
        log.truncate(database.LONG_LOG + 1)

    (remark,) = database.file(deep=False)

    assert (remark.state, "67 MB long" in remark.seen) == ("warning", True)

"""A PostgreSQL that ended our connection, or takes no writes, is away: no mistake of ours, and the next try may go."""

import select

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction

from clarion.models import Tenant

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="this is how PostgreSQL says it"),
]


def idle_in_a_transaction() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        # The server says good-bye on it.
        assert select.select([connection.connection.fileno()], [], [], 10)[0]
        Tenant.objects.count()


def write_where_one_may_only_read() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        Tenant.objects.create(name="shop", created_at="2026-01-01T00:00:00Z")


def test_a_connection_that_stood_idle_in_a_transaction_is_lost() -> None:
    with pytest.raises(OperationalError):
        idle_in_a_transaction()

    connections.close_all()
    assert Tenant.objects.count() == 0


def test_a_server_that_takes_no_writes_is_away() -> None:
    with pytest.raises(OperationalError) as caught:
        write_where_one_may_only_read()

    assert isinstance(caught.value.__cause__, psycopg.errors.ReadOnlySqlTransaction)


def test_other_mistakes_stay_what_they_are() -> None:
    with pytest.raises(Exception, match="does not exist") as caught, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nothing_of_this_name")

    assert not isinstance(caught.value, OperationalError)

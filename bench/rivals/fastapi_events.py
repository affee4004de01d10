"""The usual way without Django: FastAPI validates, SQLAlchemy stores by asyncpg or aiosqlite, one commit an event.

As their documentation advises: a session for each request, a pool of connections, `expire_on_commit` off; uvicorn runs
two processes. No credential, no numbers, and a repeated event is an error. `python -m bench.rivals.fastapi_events` makes
the table.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, Index, String, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"}
_scheme, _, _rest = os.environ["RIVAL_DATABASE"].partition(":")
engine = create_async_engine(f"{DRIVERS[_scheme]}:{_rest}")
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """All tables."""


class Event(Base):
    """An event, found by the same columns as ours."""

    __tablename__ = "fastapi_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(String(255), unique=True)
    event_type: Mapped[str] = mapped_column(String(32))
    event_source: Mapped[str] = mapped_column(String(16))
    entity_name: Mapped[str] = mapped_column(String(255))
    entity_id: Mapped[str] = mapped_column(String(255))
    customer_id: Mapped[str] = mapped_column(String(255))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    event_payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    __table_args__ = (
        Index("fastapi_customer", "customer_id", "received_at"),
        Index("fastapi_entity", "entity_id", "received_at"),
    )


class EventIn(BaseModel):
    """What is taken."""

    id: str
    event_type: str
    event_source: str
    entity_name: str
    entity_id: str
    customer_id: str = ""
    event_payload: dict[str, Any]


if _scheme == "sqlite":

    @event.listens_for(engine.sync_engine, "connect")
    def _durable(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 20000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


app = FastAPI()


async def session() -> AsyncIterator[AsyncSession]:
    """Give a session for one request."""
    async with sessions() as opened:
        yield opened


@app.post("/events", status_code=201)
async def create(event: EventIn, session: Annotated[AsyncSession, Depends(session)]) -> EventIn:
    """Save one event."""
    members = event.model_dump()
    session.add(Event(event_id=members.pop("id"), received_at=datetime.now(UTC), **members))
    await session.commit()
    return event


async def make_table() -> None:
    """Make the table, before the server starts: of two processes that do so at once one may fail."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(make_table())

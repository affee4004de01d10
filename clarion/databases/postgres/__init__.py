"""ENGINE "clarion.databases.postgres": Django's PostgreSQL backend, which says when a server is away; see base.py."""

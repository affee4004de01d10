"""ENGINE "clarion.databases.sqlite": Django's SQLite backend behind the turnstile. The code is in base.py."""

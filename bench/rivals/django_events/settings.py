"""Django for an API and nothing else, with kept connections, and a database as durable as ours.

Of the middleware of `startproject` it has what an API needs. Sessions, users, messages, and guards against forged forms and
frames are for pages: with them these rivals would be slower, and we would seem faster, than anybody has to be.
"""

import os
from typing import Any
from urllib.parse import urlsplit

SECRET_KEY = "bench"  # noqa: S105 - guards nothing
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "bench.rivals.django_events.urls"
INSTALLED_APPS = [
    # The first two, because rest_framework's user of nobody is theirs.
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "bench.rivals.django_events",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
REST_FRAMEWORK: dict[str, list[str]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
        options = {"init_command": pragmas, "transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


DATABASES = {"default": {**_database(os.environ["RIVAL_DATABASE"]), "CONN_MAX_AGE": None}}

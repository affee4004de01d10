"""Every setting, its default and its meaning. The only reader of the environment.

`Settings` is what an operator may set, as `CLARION_<NAME>` (secrets also as `CLARION_<NAME>_FILE`, a file that
holds the value). Below it stands what Django makes of them. Rooms read `django.conf.settings.CLARION`.
"""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import pymysql
from django.utils.functional import SimpleLazyObject
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from clarion.databases.url import BadDatabaseUrl, database_from_url
from clarion.lib.egress import Egress
from clarion.lib.key_files import KeyFile
from clarion.lib.validators import after

PACKAGE = Path(__file__).resolve().parent
# The longest that anything can be kept, but for ever, days: a century, which every calendar can reckon with.
MOST_DAYS = 36_500
# What development mode sends to beside the internet: receivers on the same machine.
LOOPBACK = ("127.0.0.0/8", "::1")


def _allowed(entries: list[str]) -> list[str]:
    Egress(entries)
    return entries


class Settings(BaseSettings):
    """What an operator may set. Wrong values stop the start and are named all at once."""

    model_config = SettingsConfigDict(
        env_prefix="CLARION_", env_ignore_empty=True, populate_by_name=True, extra="ignore"
    )

    data: Path = Field(Path("var"), description="Folder of the SQLite file and the keys.")
    keys_file: Path | None = Field(
        None, description="Keys that encrypt credentials at rest; default secret.keys in the data folder."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgres://user:password@host:port/name or mysql://…; empty: SQLite in the data folder.",
    )
    host: str = Field("127.0.0.1", description="Address the web process listens on.")
    port: int = Field(
        8000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("CLARION_PORT", "PORT", "port"),
        description="Port the web process listens on; PORT is read as well.",
    )
    dev: bool = Field(False, description="Development mode: loopback only, no credential needed.")
    allowed_hosts: list[str] = Field(
        default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"],
        description="Host names under which the web process answers (JSON list).",
    )
    egress_allow: Annotated[list[str], after(_allowed)] = Field(
        default_factory=list,
        description="Closed networks and hosts that subscribers' addresses may lead to all the same (JSON list).",
    )
    egress_http: bool | None = Field(
        None, description="Whether these addresses may be http://; unset: in development mode only."
    )
    max_body_bytes: int = Field(
        1024 * 1024, ge=1024, description="Largest request body, bytes; more is answered 413."
    )
    max_import_bytes: int = Field(
        1024**3, ge=1024, description="Largest file of clients, bytes; more is answered 413."
    )
    body_seconds: float = Field(
        10.0,
        gt=0,
        description="A request's body must be whole within this time; of a file, the next piece be there, s.",
    )
    web_threads: int = Field(16, ge=1, description="Requests answered at the same time by one web process.")
    in_flight: int = Field(
        256,
        ge=1,
        description="Sends under way at once in a worker, of messages and of deliveries each; a crash leaves them in doubt.",
    )
    lease_seconds: float = Field(
        60.0,
        gt=1,
        description="A worker that gave no sign for this long is dead and its rows are rescued, s.",
    )
    drain_seconds: float = Field(
        25.0,
        ge=0,
        description="How long SIGTERM waits for sends under way, s (below the usual 30 s of a kill).",
    )
    credit_days: float = Field(
        # Klaviyo's default for clicked and opened e-mails: long enough for a decision, too short for a habit.
        5.0,
        gt=0,
        le=MOST_DAYS,
        description="A purchase is put down to the last click, else the last open, of the days before it.",
    )
    machine_seconds: float = Field(
        # Scanners were seen to follow links up to 12 s after a mail came (resend/resend-node#901), most within 5 s.
        # Who reads that fast is taken for one, and nothing but a figure is lost.
        15.0,
        ge=0,
        description="What is opened or clicked so soon after its delivery was opened or clicked by a machine, s.",
    )
    # Two seasons can be compared: a year, and a month to do it in.
    keep_events_days: int = Field(
        400, ge=0, le=MOST_DAYS, description="Days an event stays in the log; 0: for ever."
    )
    keep_messages_days: int = Field(
        400,
        ge=0,
        le=MOST_DAYS,
        description="Days the messages of a mailing are kept after its end; their counts always are. 0: for ever.",
    )
    # As long as the services that only deliver keep theirs (Svix); the events themselves stay for longer.
    keep_deliveries_days: int = Field(
        90, ge=0, le=MOST_DAYS, description="Days a delivery is kept after it ended; 0: for ever."
    )
    # What a provider answered is asked for while somebody still complains; a quarter's books are closed by then.
    keep_attempts_days: int = Field(
        90, ge=0, le=MOST_DAYS, description="Days a try that did not go right at once is kept; 0: for ever."
    )
    # The HTTP contract promises 24.
    keep_answers_hours: int = Field(
        24,
        ge=24,
        le=24 * MOST_DAYS,
        description="Hours an answer is given again under its Idempotency-Key.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, JSON lines elsewhere."
    )
    crash_at: str = Field("", description="Fault tests only: the crash point at which this process dies.")

    @property
    def keys_path(self) -> Path:
        """Where the keys are, or will be."""
        return self.keys_file or self.data / "secret.keys"

    @property
    def egress(self) -> Egress:
        """Where addresses that subscribers name may lead."""
        plain_http = self.dev if self.egress_http is None else self.egress_http
        return Egress([*self.egress_allow, *(LOOPBACK if self.dev else ())], plain_http=plain_http)


# Those that may stand in a file of their own.
IN_FILES = ("database_url",)


def read_settings() -> Settings:
    """Return the settings of this process's environment, `_FILE` variants included."""
    from_files: dict[str, Any] = {}
    for name in IN_FILES:
        path = os.environ.get(f"CLARION_{name.upper()}_FILE")
        if path:
            try:
                from_files[name] = SecretStr(Path(path).read_text().strip())
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                raise BadDatabaseUrl(f"CLARION_DATABASE_URL_FILE, {path}: {why}.") from None
    return Settings(**from_files)


def unknown_settings() -> list[str]:
    """Return the names in this process's environment that begin as ours do, and are none of ours."""
    known = {f"CLARION_{name}".upper() for name in Settings.model_fields}
    known |= {f"CLARION_{name}_FILE".upper() for name in IN_FILES}
    return sorted(name for name in os.environ if name.startswith("CLARION_") and name not in known)


def child_environment(**changes: object) -> dict[str, str]:
    """Return this process's environment for a process it starts, with these settings changed."""
    given = {f"CLARION_{name.upper()}": str(value) for name, value in changes.items()}
    return {**os.environ, **given}


CLARION = read_settings()
# Encrypts what must never be read from a copied database: gateway credentials. First key encrypts, all decrypt.
# Made where there is none at the first use: whoever needs a key means this installation, and a verb that only looks
# around in a wrong folder leaves no trace. Read again when it changed.
SECRET_KEYS = KeyFile(
    CLARION.keys_path, prepare=lambda: CLARION.data.mkdir(mode=0o700, parents=True, exist_ok=True)
)
SECRET_KEY: Any = SimpleLazyObject(
    lambda: hashlib.sha256(b"sessions and forms:" + SECRET_KEYS[0]).hexdigest()
)
DEBUG = False
ALLOWED_HOSTS = CLARION.allowed_hosts
ROOT_URLCONF = "clarion.urls"
# The API answers with and without a trailing slash by itself, and never by a redirect.
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "ninja",
    "clarion",
]
MIDDLEWARE = [
    "clarion.api.middleware.RequestContext",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "clarion.api.middleware.PlainPaths",
    "clarion.api.middleware.OwnHosts",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "clarion.api.idempotency.IdempotencyKeys",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
# Files are served straight from the installed packages: no build step stands before the first start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

pymysql.install_as_MySQLdb()
DATABASES = {"default": database_from_url(CLARION.database_url.get_secret_value(), CLARION.data)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What a body of events may have, bytes: 10,000 of them, as the contract has it. Others are held to theirs by asgi.py.
MOST_EVENT_BYTES = 16 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = max(CLARION.max_body_bytes, MOST_EVENT_BYTES)
# Our own logging (clarion/lib/logs.py) takes over at start; Django's default would mail admins.
LOGGING_CONFIG = None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

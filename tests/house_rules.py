"""The rules of the house as functions over source: each yields what it complains about. Run by test_house_rules.py.

What the linter, the type checker and the import contracts can say is said there, not here.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from django.apps import apps

from tests.house_exceptions import EXCEPTIONS

LONGEST_FILE, LONGEST_FUNCTION = 300, 50

CLOCK_DOORS = ("clarion/admin.py", "clarion/api/clock.py", "clarion/asgi.py", "clarion/cli/output.py")
CLOCK_DOORS += ("clarion/sandbox/", "clarion/supervisor.py", "clarion/worker.py")
ASYNC_EDGES = ("clarion/api/bodies.py", "clarion/asgi.py", "clarion/destinations/", "clarion/gateways/")
ASYNC_EDGES += (
    "clarion/intake/lane.py",
    "clarion/intake/senders.py",
    "clarion/lib/aws.py",  # calls over lib/http.py
    "clarion/lib/aws_entries.py",
    "clarion/lib/http.py",
    "clarion/lib/connections.py",
    "clarion/lib/exchanges.py",
)
ASYNC_EDGES += ("clarion/outbox/dispatch.py", "clarion/outbox/traffic.py", "clarion/sandbox/")
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "timezone.now"}
CLOCKS |= {"time.time", "time.time_ns", "time.clock_gettime", "time.localtime", "time.gmtime"}
NETWORK = {"aiohttp", "ftplib", "http", "requests", "smtplib", "socket", "ssl", "urllib.request"}
NETWORK |= {"urllib3", "clarion.lib.http", "clarion.lib.connections", "clarion.lib.exchanges"}
NETWORK |= {"botocore", "clarion.lib.aws", "clarion.lib.aws_entries"}
EMPTY_WORDS = {"base", "common", "data", "handler", "handlers", "helper", "helpers", "info", "manager"}
EMPTY_WORDS |= {"managers", "misc", "processor", "processors", "service", "services", "util", "utils"}
# Spelt so that this line does not find itself.
UNFINISHED = re.compile(
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|\braise NotImplemented" + r"Error\b"
)
REGISTRY = re.compile(
    r"://[^/\s\"']*(?:pypi|pythonhosted|npmjs|artifactory|nexus|jfrog|devpi)|index-url\s*=\s*\S",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.$}~*/])/(?:work|root|home/[a-z]\w*|Users/\w+)/\w")


class Complaint(NamedTuple):
    """Where (a path, or a path and a function in it: what an exception names) and what."""

    place: str
    what: str


@dataclass(frozen=True)
class Source:
    """One file: its path from the top of the repository, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    def complain(self, node: ast.AST | None, what: str, within: str = "") -> Complaint:
        line = getattr(node, "lineno", 1)
        return Complaint(f"{self.path} {within}".strip(), f"line {line}: {what}")


Rule = Callable[[Source], Iterator[Complaint]]


def file_is_short(source: Source) -> Iterator[Complaint]:
    lines = source.text.count("\n")
    if lines > LONGEST_FILE:
        yield source.complain(None, f"{lines} lines; a file has at most {LONGEST_FILE}")


def functions_are_short(source: Source) -> Iterator[Complaint]:
    for node in _functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > LONGEST_FUNCTION:
            yield source.complain(node, f"{node.name} has {lines} lines; at most {LONGEST_FUNCTION}")


def file_says_what_it_is_for(source: Source) -> Iterator[Complaint]:
    if not ast.get_docstring(source.tree):
        yield source.complain(None, "does not open with a docstring")


def sends_in_dispatch(source: Source) -> Iterator[Complaint]:
    for node in _calls(source):
        is_send = isinstance(node.func, ast.Attribute) and node.func.attr == "send"
        if is_send and source.path != "clarion/outbox/dispatch.py":
            yield source.complain(node, "sends; only outbox/dispatch.py does")


def environment_in_settings(source: Source) -> Iterator[Complaint]:
    for node in source.nodes:
        named = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
        imported = isinstance(node, ast.ImportFrom) and node.module == "os" and "environ" in _names(node)
        # However it is come by: `__import__("os").environ` is an attribute, too.
        if (named or imported) and source.path != "clarion/settings.py":
            yield source.complain(node, "reads the environment; only settings.py does")


def clock_in_doors(source: Source) -> Iterator[Complaint]:
    if source.path.startswith(CLOCK_DOORS):
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and ".".join(_dotted(node).split(".")[-2:]) in CLOCKS:
            yield source.complain(node, f"reads the clock ({_dotted(node)}); take `now` instead")
        if isinstance(node, ast.ImportFrom) and node.module == "time" and _names(node) & {"time", "time_ns"}:
            yield source.complain(node, "imports the clock; take `now` instead")


def async_at_the_edges(source: Source) -> Iterator[Complaint]:
    if source.path.startswith(ASYNC_EDGES):
        return
    for node in source.nodes:
        if isinstance(node, ast.AsyncFunctionDef):
            yield source.complain(node, f"{node.name} is async; only exits and the outer edge are")


def queries_of_one_tenant(source: Source) -> Iterator[Complaint]:
    if not source.path.startswith(("clarion/api/", "clarion/flows/")):
        return
    for function, node in _attributes(source.tree):
        # Model.objects.<what>
        manager = node.value
        if not (isinstance(manager, ast.Attribute) and manager.attr == "objects"):
            continue
        owner = _dotted(manager.value).rpartition(".")[2]
        if owner in tenant_owned() and node.attr not in ("of", "create", "append"):  # told the tenant, too
            yield source.complain(node, f"{owner}.objects.{node.attr}: begin with `of`", function)


def no_signals(source: Source) -> Iterator[Complaint]:
    for node in source.nodes:
        module = getattr(node, "module", "") if isinstance(node, ast.ImportFrom) else ""
        if module in ("django.dispatch", "django.db.models.signals", "django.core.signals"):
            yield source.complain(node, "uses signals; call what shall happen")


def no_save_override(source: Source) -> Iterator[Complaint]:
    for node in _functions(source):
        if node.name in ("save", "delete") and node.args.args[:1] and node.args.args[0].arg == "self":
            yield source.complain(node, f"overrides {node.name}(); what shall happen has a flow")


def file_name_says_something(source: Source) -> Iterator[Complaint]:
    # The name that Django gives to its own backends' files.
    if source.path.startswith("clarion/databases/"):
        return
    empty = EMPTY_WORDS & set(PurePosixPath(source.path).with_suffix("").parts)
    for word in sorted(empty):
        yield source.complain(None, f"{word!r} says nothing about what is in it")


def prints_in_the_terminal(source: Source) -> Iterator[Complaint]:
    for node in _calls(source):
        is_print = isinstance(node.func, ast.Name) and node.func.id == "print"
        if is_print and not source.path.startswith("clarion/cli/"):
            yield source.complain(node, "prints; only cli/ does, others log")


def flows_stay_off_the_network(source: Source) -> Iterator[Complaint]:
    if not source.path.startswith(("clarion/flows/", "clarion/models/")):
        return
    for node in source.nodes:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            if any(module == each or module.startswith(f"{each}.") for each in NETWORK):
                yield source.complain(node, f"imports {module}; only exits use the network")


def nothing_is_unfinished(source: Source) -> Iterator[Complaint]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield Complaint(source.path, f"line {number}: left for later: {line.strip()[:60]}")


def names_no_registry(source: Source) -> Iterator[Complaint]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if REGISTRY.search(line):
            yield Complaint(source.path, f"line {number}: names a package registry")


def names_no_machine(source: Source) -> Iterator[Complaint]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield Complaint(source.path, f"line {number}: names a folder of one machine")


def lock_works_with_any_mirror(source: Source) -> Iterator[Complaint]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"://|file:|^\s*--(?!hash=)|^-[a-z]", line):
            yield Complaint(source.path, f"line {number}: not a name, a version and hashes")


def model_has_a_tenant() -> Iterator[Complaint]:
    for model in apps.get_app_config("clarion").get_models():
        if model.__name__ not in tenant_owned():
            yield Complaint(model.__name__, "belongs to no tenant")


OF_THE_PACKAGE: tuple[Rule, ...] = (
    sends_in_dispatch,
    environment_in_settings,
    clock_in_doors,
    async_at_the_edges,
    queries_of_one_tenant,
    no_signals,
    no_save_override,
    file_name_says_something,
    prints_in_the_terminal,
    flows_stay_off_the_network,
)
OF_PYTHON: tuple[Rule, ...] = (file_is_short, functions_are_short, file_says_what_it_is_for)
OF_EVERY_FILE: tuple[Rule, ...] = (nothing_is_unfinished, names_no_registry, names_no_machine)


def tenant_owned() -> set[str]:
    """The models that have a column `tenant`."""
    models = apps.get_app_config("clarion").get_models()
    return {each.__name__ for each in models if any(field.name == "tenant" for field in each._meta.fields)}


def unexcused(rule: str, complaints: Iterator[Complaint]) -> list[Complaint]:
    """Return the complaints that no exception covers."""
    return [each for each in complaints if each.place not in EXCEPTIONS.get(rule, {})]


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _calls(source: Source) -> Iterator[ast.Call]:
    yield from (node for node in source.nodes if isinstance(node, ast.Call))


def _attributes(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Attribute]]:
    """Every attribute access with the outermost function it stands in."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        within = function or (node.name if is_function else "")
        if isinstance(node, ast.Attribute):
            yield within, node
        yield from _attributes(node, within)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}

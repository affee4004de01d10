"""The whole API in one piece, with its OpenAPI file and its docs page."""

from ninja import NinjaAPI

from clarion import __version__
from clarion.api import customers, health, mailings, messages, problems
from clarion.api.wire import StrictJson


def build() -> NinjaAPI:
    """Return the API with every resource mounted."""
    api = NinjaAPI(
        title="Clarion",
        version=__version__,
        description="Clients in, mailings out, every message accounted for.",
        docs_url="/docs",
        openapi_url="/openapi.json",
        parser=StrictJson(),
    )
    problems.install(api)
    for resource in (health, customers, mailings, messages):
        api.add_router("", resource.router)
    return api

"""The whole API in one piece, with its OpenAPI file and its docs page."""

from ninja import NinjaAPI
from ninja.openapi.docs import Swagger

from clarion import __version__
from clarion.api import (
    catalogue,
    consents,
    customers,
    deliveries,
    events,
    exports,
    health,
    imports,
    mailings,
    messages,
    previews,
    problems,
    redeliveries,
    subscription_calls,
    subscriptions,
    test_sends,
    timelines,
)
from clarion.api.wire import StrictJson


def build() -> NinjaAPI:
    """Return the API with every resource mounted."""
    api = NinjaAPI(
        title="Clarion",
        version=__version__,
        description="Events and clients in, mailings out, every message accounted for.",
        # The page asks its maker's server to validate the description, unless it is told not to.
        docs=Swagger({"validatorUrl": None}),
        docs_url="/docs",
        openapi_url="/openapi.json",
        parser=StrictJson(),
    )
    problems.install(api)
    for resource in (
        health,
        catalogue,
        customers,
        imports,
        exports,
        previews,
        mailings,
        test_sends,
        messages,
        events,
        timelines,
        consents,
        # The last one takes any path for an id that none before it takes for more.
        subscription_calls,
        deliveries,
        redeliveries,
        subscriptions,
    ):
        api.add_router("", resource.router)
    return api

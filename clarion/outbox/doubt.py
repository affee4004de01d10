"""What happens to a send whose answer was lost: `resend` (it may arrive twice) or `hold` (it may not arrive)."""

from clarion import gateways
from clarion.models import GatewayAccount


def policy(account: GatewayAccount) -> str:
    """Return the account's own policy, else its gateway's; `hold` where the gateway is no longer installed."""
    try:
        return account.doubt or gateways.find(account.gateway).doubt
    except gateways.UnknownKind:
        return "hold"

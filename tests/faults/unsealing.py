"""`python -m tests.faults.unsealing ACCOUNT [PROTECTION]`: open what is sealed, over and over, and seal one account anew
between, until standard input ends; then print as JSON how often it went right and how often not.
"""

import json
import select
import sys
from collections import Counter

import django

if __name__ == "__main__":
    django.setup()

from clarion.flows import accounts
from clarion.lib.secrets import BadSeal
from clarion.models import GatewayAccount
from tests.faults import without

# Seconds between two rounds: some fifty in each second, as a busy web process has them.
PAUSE = 0.02


def run(name: str) -> Counter[str]:
    seen: Counter[str] = Counter(opened=0, failed=0, changed=0)
    texts: set[str] = set()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for account in GatewayAccount.objects.all():
            texts.add(account.sealed_settings)
            try:
                values = account.settings
                seen["opened"] += 1
            except BadSeal:
                seen["failed"] += 1
                continue
            if account.name == name:
                accounts.change(account, settings=values)
                seen["changed"] += 1
    seen["texts"] = len(texts)
    return seen


if __name__ == "__main__":
    for protection in sys.argv[2:]:
        without.switch_off(protection)
    sys.stdout.write(json.dumps(run(sys.argv[1])))

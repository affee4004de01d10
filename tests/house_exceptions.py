"""Where a rule of the house is broken on purpose, and why. Read by house_rules.py."""

# By rule, then by place: a file, or a file and a function in it. A line that no longer excuses anything fails as well.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "environment_in_settings": {
        "clarion/asgi.py": "names Django's settings module, before any setting can be read",
        "clarion/cli/__init__.py": "names Django's settings module, before any setting can be read",
    },
    "clock_in_doors": {
        "clarion/outbox/claims.py": "the lease clock: time since the machine started, which is nobody's argument",
        "clarion/lib/answers.py": "a Retry-After date without a Date beside it can be read against a clock only",
    },
    "queries_of_one_tenant": {
        "clarion/api/health.py collect": "figures of the whole installation, without any tenant's data",
        "clarion/api/health.py oldest_due": "figures of the whole installation, without any tenant's data",
        "clarion/flows/audit.py _materialised": "the accounts of everybody are proved together",
        "clarion/flows/audit.py _orphans": "the accounts of everybody are proved together",
        "clarion/flows/audit.py _overdue": "the accounts of everybody are proved together",
        "clarion/flows/callers.py identify": "the key is what says which tenant it is",
        "clarion/flows/deadlines.py _expire_held": "time's round: what is due, whosever it is",
        "clarion/flows/doubts.py _settle": "the operator's tool; no API reaches it",
        "clarion/flows/exports.py run_due": "time's round: what is due, whosever it is",
        "clarion/flows/imports.py run_due": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py _sweep": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py close_due": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py finish_due": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py materialise_due": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py start_due": "time's round: what is due, whosever it is",
        "clarion/flows/mailings.py sweep_due": "time's round: what is due, whosever it is",
        "clarion/flows/customers.py _delete": "locks rows by ids that were read with `of` a line before",
        "clarion/flows/pruning.py _drop_file": "time's round: what has served its time, whosever it is",
        "clarion/flows/pruning.py _drop_answers": "time's round: what has served its time, whosever it is",
        "clarion/flows/reading.py read_on": "the readers' round: whoever has something unread",
        "clarion/flows/readers.py standings": "the operator's tool; no API reaches it",
        "clarion/flows/retention.py _logs_to_cut": "time's round: what has served its time, whosever it is",
        "clarion/flows/retention.py prune_attempts": "time's round: what has served its time, whosever it is",
        "clarion/flows/retention.py prune_messages": "time's round: what has served its time, whosever it is",
        "clarion/flows/traces.py of_customer": "the operator's tool; no API reaches it",
        "clarion/flows/traces.py of_mailing": "the operator's tool; no API reaches it",
        "clarion/flows/traces.py of_message": "the operator's tool; no API reaches it",
    },
    "model_has_a_tenant": {
        "FilePart": "belongs to its file, which has a tenant",
        "Lane": "belongs to its gateway account, which has a tenant",
        "Refusal": "belongs to its import, which has a tenant",
        "Tenant": "is the tenant",
        "Worker": "a process of the installation",
    },
}

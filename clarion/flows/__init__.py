"""WHAT HAPPENS. One file per noun, one function per thing that can happen.

A flow may open one transaction, never does network I/O, and takes `now`. Flows import each other in one direction at most.

Where the journeys begin: a credential becomes a Caller in `callers.identify`; a mailing begins in
`mailings.create`, becomes messages in `mailings.materialise_due`, and ends in `mailings.finish_due`.
"""

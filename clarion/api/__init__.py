"""DOOR for machines: read the wire, call one flow, write the wire. Decides nothing.

`build` mounts the resources; `wire` holds the rules of the whole surface, `problems` the form of every refusal.
"""

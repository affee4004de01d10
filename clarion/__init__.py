"""Clarion: one self-hosted hub for events and messages: what happened, who is told, and proof of both.

Holds the version alone; packaging reads it from here. Nothing is imported, so reading it costs nothing.
"""

__version__ = "0.4.0"

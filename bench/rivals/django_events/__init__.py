"""The usual way, twice: an event comes in by django-rest-framework or by django-ninja, and the ORM saves it.

As their documentation advises: a serializer or a schema validates, connections are kept, gunicorn runs two processes
of four threads. Neither checks a credential, numbers what it stores, or tells a repeated event from a new one.
"""

"""Start-up of the Django app."""

from django.apps import AppConfig


class ClarionConfig(AppConfig):
    name = "clarion"
    label = "clarion"

    def ready(self) -> None:
        from clarion import checks

        checks.register()

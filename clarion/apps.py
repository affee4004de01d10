"""Start-up of the Django app."""

from django.apps import AppConfig


class ClarionConfig(AppConfig):
    name = "clarion"
    label = "clarion"

    def ready(self) -> None:
        from django.conf import settings

        from clarion import checks
        from clarion.lib import crashpoints

        checks.register()
        if settings.CLARION.crash_at:
            crashpoints.arm(settings.CLARION.crash_at)

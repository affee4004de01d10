"""Somebody who loads a page of the admin without pause, until stopped. `python -m bench.visitor PORT`."""

import sys

import django
import requests

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - Django comes first

NAME, PASSWORD = "visitor", "visits-the-admin"
PAGE = "/admin/clarion/event/"


def main(port: int) -> None:
    """Sign in, then load the page for as long as this process lives."""
    users = get_user_model()
    if not users.objects.filter(username=NAME).exists():
        users.objects.create_superuser(NAME, password=PASSWORD)
    here = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        session.get(f"{here}/admin/login/", timeout=30)
        form = {"username": NAME, "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post(f"{here}/admin/login/?next={PAGE}", form, timeout=30).raise_for_status()
        while True:
            page = session.get(f"{here}{PAGE}", timeout=30, allow_redirects=False)
            if page.status_code != 200:
                raise SystemExit(f"The page answers {page.status_code}.")


if __name__ == "__main__":
    main(int(sys.argv[1]))

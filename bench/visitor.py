"""Somebody who loads a page of the admin without pause, until stopped. `python -m bench.visitor PORT`."""

import sys
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - Django comes first

NAME, PASSWORD = "visitor", "visits-the-admin"  # guards nothing: the installation is gone after the run
PAGE = "/admin/clarion/event/"
# A page that hangs so long ends the visit, s.
PATIENCE = 30.0


def main(port: int) -> None:
    """Sign in, then load the page for as long as this process lives.

    :raises HTTPError: the page does not answer 200
    """
    users = get_user_model()
    if not users.objects.filter(username=NAME).exists():
        users.objects.create_superuser(NAME, password=PASSWORD)
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies))
    here = f"http://127.0.0.1:{port}"
    browser.open(f"{here}/admin/login/", timeout=PATIENCE).close()
    token = next(str(cookie.value) for cookie in cookies if cookie.name == "csrftoken")
    form = {"username": NAME, "password": PASSWORD, "csrfmiddlewaretoken": token, "next": PAGE}
    with browser.open(f"{here}/admin/login/", urlencode(form).encode(), timeout=PATIENCE) as page:
        if not page.url.endswith(PAGE):
            raise SystemExit("The visitor may not come in.")
    while True:
        browser.open(f"{here}{PAGE}", timeout=PATIENCE).read()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""URLs of stores as they may be shown: without the passwords that those of servers have in them."""

from __future__ import annotations

import re

SERVER_SCHEMES = ("postgresql://", "postgres://")
HIDDEN = "***"
"""What stands for a password wherever a URL is shown."""

PARAMETER = r"(?:notify_url=[^#&]*|[^@#&]*)"
HOST = r"(?:\[[^\]@]*\]|[^:@/?#\[\],]*)(?::[0-9]*)?"
SERVER_URL = (
    rf"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^:@/?#]*)(?P<password>:[^:@/?#]*)?@)?"
    rf"(?P<place>{HOST}(?:,{HOST})*(?:/[^@?#/]*)?)(?:\?(?P<query>{PARAMETER}(?:&{PARAMETER})*))?"
)
SECRETS = r"password|secret|scram_.*_key"
PERHAPS_A_PASSWORD = "://" + r".*:.*@"


def is_remote(url: str) -> bool:
    """Whether a URL names a store on a server."""
    return url.startswith(SERVER_SCHEMES)


def shown_url(url: str) -> str:
    """A URL as it may be shown to anybody: with ``***`` for each password in it.

    Of one that is not well formed nothing is shown, since nobody can tell what in it is the password.
    """
    found = re.fullmatch(SERVER_URL, url) if is_remote(url) else None
    if found is None:
        if not is_remote(url) and (
            url.startswith("sqlite:") or not re.search(PERHAPS_A_PASSWORD, url, re.DOTALL)
        ):
            return url
        return f"{url.partition('://')[0]}://{HIDDEN}"
    user, password, query = found["user"], found["password"], found["query"]
    who = "" if user is None else f"{user}{f':{HIDDEN}' if password else ''}@"
    said = "" if query is None else "?" + "&".join(map(_shown_parameter, query.split("&")))
    return f"{found['scheme']}{who}{found['place']}{said}"


def _shown_parameter(text: str) -> str:
    from urllib.parse import quote, unquote  # only the URL of a server pays for it

    name, equals, value = text.partition("=")
    if re.search(SECRETS, unquote(name).lower()):
        return f"{name}{equals}{HIDDEN if value else ''}"
    if is_remote(unquote(value)):
        return f"{name}{equals}{quote(shown_url(unquote(value)), safe=':/@*')}"
    return text


def without_passwords(text: str) -> str:
    """Any text, with ``***`` for the passwords of the URLs in it."""
    return re.sub(r"\b[A-Za-z]+://\S+", lambda found: shown_url(found[0]), text) if "://" in text else text

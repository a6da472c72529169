"""Requests to a console as any program can make them, and the answers."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.support.console import Served


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def ask(console: Served, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
    return exchange(console, method, console.session.root + path, None, headers or {})


def post(console: Served, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return exchange(console, "POST", console.session.root + path, urlencode(form), kind | dict(headers))


def exchange(console: Served, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection(console.session.host, timeout=20)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    answered = Answer(answer.status, found, answer.read().decode())
    connection.close()
    return answered

"""A person's client of the public API: logs in, asks, says plainly what was refused."""

from http import HTTPStatus
from typing import Any, Self

import httpx


class RefusedError(Exception):
    """The API said no; the message is its own."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        try:
            self.problem: dict[str, Any] = answer.json()
        except ValueError:
            self.problem = {"detail": answer.text[:300]}
        said = self.problem.get("detail") or self.problem.get("title")
        super().__init__(f"{answer.request.method} {answer.request.url.path}: {self.status} {said}")

    @property
    def code(self) -> str:
        """The problem's code, such as `site_name_taken`."""
        return str(self.problem.get("code", ""))


class Api:
    """One person's session over the gateway; renews its token before that ends."""

    def __init__(self, gateway_url: str, email: str, password: str) -> None:
        self._client = httpx.Client(base_url=gateway_url, timeout=60.0, trust_env=False)
        self._login = {"email": email, "password": password}
        self._token = ""

    def __enter__(self) -> Self:
        self._log_in()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET a path and return its JSON."""
        return self.call("GET", path, params=params)

    def post(self, path: str, body: object = None) -> Any:
        """POST JSON and return the answer's."""
        return self.call("POST", path, json=body)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return its JSON; log in again once if the token has run out.

        Raises:
            RefusedError: the API said no.
        """
        answer = self._send(method, path, **options)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._log_in()
            answer = self._send(method, path, **options)
        if not answer.is_success:
            raise RefusedError(answer)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        return self._client.request(method, path, headers=headers, **options)

    def _log_in(self) -> None:
        answer = self._client.post("/api/auth/token", json=self._login)
        if not answer.is_success:
            raise RefusedError(answer)
        self._token = answer.json()["access_token"]

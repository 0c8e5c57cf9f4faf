"""Forged, altered and outdated access tokens."""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.auth import PLATFORM_ORGANISATION, Principal, mint
from common.clock import now
from common.ids import new_id
from gateway.tokens import AccessTokens, BadToken

SEED = base64.b64encode(secrets.token_bytes(32)).decode()
ISSUER = "https://hashyard.example"
PRIVATE = Ed25519PrivateKey.from_private_bytes(base64.b64decode(SEED))


def _issue(tokens: AccessTokens, **changes: Any) -> str:
    values: dict[str, Any] = {
        "user_id": new_id(),
        "session_id": new_id(),
        "organisation_id": new_id(),
        "client_id": None,
        "role": "Owner",
        "epoch": 1,
        "ttl_s": 300,
    }
    return tokens.issue(**(values | changes))


def _part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _resigned(token: str, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign whatever with the right key: what only the claims' rules can refuse."""
    head, body, _ = token.split(".")
    stem = f"{_part(_decoded(head) | header)}.{_part(_decoded(body) | claims)}"
    return f"{stem}.{_part(PRIVATE.sign(stem.encode()))}"


def _hmac_with(key: bytes, token: str) -> str:
    head, body, _ = token.split(".")
    stem = f"{_part(_decoded(head) | {'alg': 'HS256'})}.{body}"
    return f"{stem}.{_part(hmac.digest(key, stem.encode(), hashlib.sha256))}"


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(SEED, ISSUER)


def test_a_token_says_what_was_put_in(tokens: AccessTokens) -> None:
    user, client = new_id(), new_id()
    claims = tokens.verify(_issue(tokens, user_id=user, client_id=client, role="Client"))
    assert (claims.user_id, claims.client_id, claims.role) == (user, client, "Client")
    assert not claims.elevated
    assert tokens.verify(_issue(tokens, elevated=True)).elevated


def test_a_signature_made_with_another_key_is_refused(tokens: AccessTokens) -> None:
    other = AccessTokens(base64.b64encode(secrets.token_bytes(32)).decode(), ISSUER)
    with pytest.raises(BadToken):
        tokens.verify(_issue(other))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "EdDSA"},
        {"alg": "RS256"},
        {"typ": "JWT"},
        {"typ": "rt+jwt"},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "https://evil.example/key"},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x5u"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
        {"crit": ["exp"]},
        {"zip": "DEF"},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_headers_of_attackers_are_refused(tokens: AccessTokens, header: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        tokens.verify(_resigned(_issue(tokens), header, {}))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://staging.example"},
        {"iss": None},
        {"aud": "hosting"},
        {"aud": ["other"]},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": None},
        {"nbf": 9_999_999_999},
        {"iat": 9_999_999_999},
        {"sub": "1; DROP TABLE"},
        {"org": None},
        {"role": None},
        {"sid": 7},
    ],
)
def test_claims_that_do_not_hold_are_refused(tokens: AccessTokens, claims: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        tokens.verify(_resigned(_issue(tokens), {}, claims))


def test_a_public_key_is_no_secret(tokens: AccessTokens) -> None:
    public = PRIVATE.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _part(public.public_bytes_raw())}
    for key in (pem, der, public.public_bytes_raw(), json.dumps(jwk).encode(), b""):
        with pytest.raises(BadToken):
            tokens.verify(_hmac_with(key, _issue(tokens)))


def test_other_spellings_are_refused(tokens: AccessTokens) -> None:
    good = _issue(tokens)
    head, body, signature = good.split(".")
    twisted = signature[:-1] + chr(ord(signature[-1]) + 1)  # stray bits at the end
    for bad in (
        "",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{good}=",
        f"{good}==",
        f"{good}\n",
        f" {good}",
        f"{good}.x",
        f"{head}.{body}.{twisted}",
        f"{head}.{body}.{signature[:-2]}",
        good + "A" * 5000,
        good.replace("-", "+").replace("_", "/") + "=",
        f"{head}.{_part({'sub': 'x'})}.{signature}",
    ):
        with pytest.raises(BadToken):
            tokens.verify(bad)


def test_a_rotation_of_keys_refuses_nobody() -> None:
    following = base64.b64encode(secrets.token_bytes(32)).decode()
    before = AccessTokens(SEED, ISSUER)
    told = AccessTokens(SEED, ISSUER, [following])  # every gateway learns the next key first
    turned = AccessTokens(following, ISSUER, [SEED])
    after = AccessTokens(following, ISSUER)
    for signer in (before, told, turned):
        for verifier in (told, turned):
            verifier.verify(_issue(signer))
    assert told.verify(_issue(after))
    with pytest.raises(BadToken):
        after.verify(_issue(told))
    with pytest.raises(BadToken):
        before.verify(_issue(turned))


def test_a_key_s_name_is_no_other_key_s(tokens: AccessTokens) -> None:
    following = base64.b64encode(secrets.token_bytes(32)).decode()
    both = AccessTokens(following, ISSUER, [SEED])
    named = _issue(AccessTokens(following, ISSUER)).partition(".")[0]
    _, body, signature = _issue(tokens).split(".")
    with pytest.raises(BadToken):
        both.verify(f"{named}.{body}.{signature}")


async def test_other_tokens_do_not_open_the_gateway(world: Any, operator: Any) -> None:
    principal = Principal(
        subject=new_id(),
        kind="user",
        organisation_id=PLATFORM_ORGANISATION,
        client_id=None,
        role="Admin",
        scopes=frozenset({"organisations:write"}),
        request_id="x",
        expires_at=now(),
    )
    internal = mint(
        principal, audience="gateway", key=world.settings.internal_key.get_secret_value()
    )
    foreign = _issue(AccessTokens(SEED, world.settings.public_url))
    stranger = _issue(world.security.tokens)  # signed by us, of a session that never was
    login = {"email": operator.people["Owner"][0], "password": operator.people["Owner"][1]}
    refresh = (await world.client.post("/api/auth/token", json=login)).json()["refresh_token"]
    for token in (internal, foreign, stranger, refresh, "x" * 5000, "ä"):
        headers = {"Authorization": f"Bearer {token}".encode()}
        answer = await world.client.get("/api/me", headers=headers)
        assert answer.status_code in (400, 401), token
    header = {"Internal-Token": internal}
    assert (await world.client.get("/api/me", headers=header)).status_code == 401
    assert (
        await world.client.get("/api/me", headers={"Authorization": "Basic YTpi"})
    ).status_code == 401

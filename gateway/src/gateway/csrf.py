"""Requests that a browser sends with our cookie must come from our own pages."""

from collections.abc import Mapping

from common.errors import Forbidden


class CrossSite(Forbidden):
    title = "The request did not come from this site"


def check_own_page(fields: Mapping[bytes, bytes], public_url: str, *, strict: bool) -> None:
    """Refuse what another site made a browser send.

    strict: the cookie is what authenticates, so silence is no proof of innocence, and a header
    that no plain form can send is asked for too. Otherwise only a foreign origin is refused:
    programs that are no browser send neither header.

    Raises:
        CrossSite: the request comes from elsewhere, or does not say.
    """
    site = fields.get(b"sec-fetch-site")
    origin = fields.get(b"origin")
    ours = site == b"same-origin" or origin == public_url.encode()
    foreign = site not in (None, b"same-origin", b"none") or (
        origin is not None and origin != public_url.encode()
    )
    if foreign or (strict and not (ours and fields.get(b"x-requested-by"))):
        raise CrossSite(
            "With a cookie, send it from our own pages: Sec-Fetch-Site: same-origin or our Origin, "
            "and X-Requested-By."
        )

"""The treasury is the operator's own: no client of it sees or moves anything here."""

from fastapi import Depends

from common.auth import AnyPrincipal
from common.errors import Forbidden


async def operators_only(caller: AnyPrincipal) -> None:
    """Refuse a client of the operator, whatever its role says.

    Raises:
        Forbidden: the caller is a client.
    """
    if caller.client_id is not None:
        raise Forbidden("The treasury belongs to the operator.")


OPERATORS_ONLY = Depends(operators_only)

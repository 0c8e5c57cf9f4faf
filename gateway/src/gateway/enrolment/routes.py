"""HTTP of second factors."""

from uuid import UUID

from fastapi import APIRouter, BackgroundTasks

from common.auth import AnyPrincipal
from common.errors import Forbidden, NotFound, TooManyRequests, Unavailable, problems
from common.runtime import RuntimeDep
from gateway.auth import CurrentLogin, LoginNeeded, OrganisationsWriter
from gateway.db import DirectorySession
from gateway.enrolment import enrolling
from gateway.enrolment.enrolling import AlreadyEnrolled, NotEnrolled, WrongCode
from gateway.enrolment.schemas import (
    CodeOrder,
    Enrolment,
    EnrolmentOrder,
    RecoveryCodes,
    SecondFactorView,
)
from gateway.security import SecurityDep
from gateway.sessions.password import WrongPassword
from gateway.throttle import Throttle

router = APIRouter(prefix="/api", tags=["second factor"])
_OWN = "/me/second-factor"
_TRIED = (TooManyRequests, Unavailable, LoginNeeded)


@router.get(_OWN, responses=problems(LoginNeeded))
async def get_second_factor(
    login: CurrentLogin, _: AnyPrincipal, runtime: RuntimeDep, security: SecurityDep
) -> SecondFactorView:
    """Say whether the caller has a second factor, and whether the role needs one."""
    return await enrolling.view(runtime, security, login)


@router.post(_OWN, status_code=201, responses=problems(WrongPassword, AlreadyEnrolled, *_TRIED))
async def enrol_second_factor(
    body: EnrolmentOrder,
    login: CurrentLogin,
    _: AnyPrincipal,
    runtime: RuntimeDep,
    security: SecurityDep,
) -> Enrolment:
    """Begin with an authenticator application; it counts from `confirm` on."""
    async with Throttle.of(security, runtime).code_try(login.user_id):
        return await enrolling.enrol(runtime, security, login, body.password)


@router.post(_OWN + "/confirm", responses=problems(WrongCode, NotEnrolled, *_TRIED))
async def confirm_second_factor(
    body: CodeOrder,
    login: CurrentLogin,
    principal: AnyPrincipal,
    runtime: RuntimeDep,
    security: SecurityDep,
) -> RecoveryCodes:
    """Show a first code. Refresh the session then, where the role needs the second factor."""
    async with Throttle.of(security, runtime).code_try(login.user_id):
        codes = await enrolling.confirm(runtime, security, login, principal, body.code)
    return RecoveryCodes(recovery_codes=codes)


@router.post(_OWN + "/remove", status_code=204, responses=problems(WrongCode, NotEnrolled, *_TRIED))
async def remove_second_factor(
    body: CodeOrder,
    login: CurrentLogin,
    principal: AnyPrincipal,
    runtime: RuntimeDep,
    security: SecurityDep,
) -> None:
    """Remove the second factor, with a code of it or a recovery code."""
    async with Throttle.of(security, runtime).code_try(login.user_id):
        await enrolling.remove(runtime, security, login, principal, body.code)


@router.delete(
    "/organisations/{organisation_id}/users/{user_id}/second-factor",
    status_code=204,
    responses=problems(Forbidden, NotFound),
)
async def reset_second_factor(
    organisation_id: UUID,
    user_id: UUID,
    *,
    session: DirectorySession,
    principal: OrganisationsWriter,
    security: SecurityDep,
    runtime: RuntimeDep,
    after: BackgroundTasks,
) -> None:
    """Take away the second factor of a member whose device is lost; the audit trail says so."""
    await enrolling.reset(session, principal, organisation_id, user_id)
    after.add_task(security.revoke, runtime, user_id)  # after the commit

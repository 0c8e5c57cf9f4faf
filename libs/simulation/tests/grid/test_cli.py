"""`python -m simulation grid` says where it is, answers, and ends when it is told to."""

import asyncio
import re
import signal
import sys

import aiohttp


async def test_the_command_serves_until_it_is_stopped() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulation", "grid", "--port", "0",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"control (http://127\.0\.0\.1:\d+)/control", line)
        assert found, line
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{found[1]}/control/status") as answer,
        ):
            assert set((await answer.json())["providers"]) == {"carbon", "ecb"}
    finally:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await process.wait() == 0

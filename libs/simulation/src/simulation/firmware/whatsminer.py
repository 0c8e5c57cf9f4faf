"""WhatsMiner's v2 API on port 4028: open reads in MH/s, writes with a token, encrypted."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from simulation.firmware.antminer import POOL_HOSTS, percent, share_counts
from simulation.firmware.base import INVALID_COMMAND, Firmware
from simulation.firmware.whatsminer_crypto import NotDecodable, decrypt, encrypt, md5crypt_hash
from simulation.inventory import SIMULATED_PASSWORD, Unit
from simulation.physics import Machine
from simulation.requests import INVALID_JSON, Request

FIRMWARE_VERSION = "20240115.22.SIMULATED"
TOKEN_LIFE_S = 1800.0
TOKENS_PER_CLIENT = 32
CLIENTS = 16
OK = 131
COMMAND_ERROR = 132
TOKEN_MADE = 134
TOKEN_WRONG = 135
TOO_MANY_TOKENS = 136
BASE64_ERROR = 137
CHIP_LIMIT_C = 95.0
OVERHEAT_ERROR = 350  # "the hash board is too hot", as the vendor's list has it


@dataclass(frozen=True, slots=True)
class _Token:
    newsalt: str
    time: str
    made_at: float


class WhatsMiner(Firmware):
    """An M30S, M50S or M60S that obeys whoever knows its password."""

    description = "btminer simulated"
    knows_clients = True

    def __init__(self, unit: Unit, machine: Machine) -> None:
        super().__init__(unit, machine)
        self.password = SIMULATED_PASSWORD
        self._tokens: dict[str, list[_Token]] = {}
        self._tokens_made = 0

    # Reports

    def version(self, now: float) -> str:
        return self.succeeded(
            now,
            22,
            "BTMiner versions",
            f'"VERSION":[{{"BTMiner":"simulated","API":"3.7","Type":"{self.unit.model.type_name}",'
            f'"Firmware Version":"\'{FIRMWARE_VERSION}\'"}}]',
        )

    def summary(self, now: float) -> str:
        unit, machine = self.unit, self.machine
        accepted, rejected, stale = share_counts(self, now)
        elapsed_s, watts = self._elapsed_s(now), round(machine.power_w(now))
        rate_mhs, chip_c = machine.hashrate_ths(now) * 1e6, machine.chip_c(now)
        windows = (("av", max(1, machine.elapsed_s(now))), ("1m", 60), ("5m", 300), ("15m", 900))
        averages = "".join(
            f'"MHS {name}":{machine.average_ths(now, window_s) * 1e6:.2f},'
            for name, window_s in windows
        )
        return self.succeeded(
            now,
            11,
            "Summary",
            f'"SUMMARY":[{{"Elapsed":{elapsed_s},{averages}"MHS 5s":{rate_mhs:.2f},'
            f'"HS RT":{rate_mhs:.2f},"Accepted":{accepted},"Rejected":{rejected},"Stale":{stale},'
            f'"Total MH":{machine.work_th(now) * 1e6:.0f},'
            f'"Hardware Errors":{machine.hardware_errors(now)},'
            f'"Temperature":{machine.board_c(now):.2f},"freq_avg":{unit.model.frequency_mhz},'
            f'"Fan Speed In":{machine.fan_rpm(now, 0)},"Fan Speed Out":{machine.fan_rpm(now, 1)},'
            f'"Voltage":1260,"Power":{watts},"Power_RT":{watts},'
            f'"Power Rate":{self._joules_per_th(now):.2f},'
            f'"Pool Rejected%":{percent(rejected, accepted)},'
            f'"Pool Stale%":{percent(stale, accepted)},"Last getwork":{int(now)},'
            f'"Uptime":{int(now - machine.booted_at)},"Security Mode":0,"Hash Stable":'
            f"{'true' if machine.state(now) == 'hashing' else 'false'},"
            f'"Target Freq":{unit.model.frequency_mhz},"Target MHS":'
            f'{unit.model.hashrate_ths * 1e6:.0f},"Env Temp":{machine.inlet_c(now):.2f},'
            f'"Power Mode":"Normal","Factory GHS":{unit.model.hashrate_ths * 1e3:.0f},'
            f'"Power Limit":{unit.model.power_w:.0f},"Power Fanspeed":'
            f'{0 if machine.asleep else 6800},"Chip Temp Min":{chip_c - 9:.2f},'
            f'"Chip Temp Max":{chip_c:.2f},"Chip Temp Avg":{chip_c - 4:.2f},'
            f'{self._error_fields(now)}"Btminer Fast Boot":"disable","MAC":"{unit.mac}",'
            f'"Miner Type":"{unit.model.type_name}",'
            f'"Firmware Version":"\'{FIRMWARE_VERSION}\'"}}]',
        )

    def pools(self, now: float) -> str:
        rows = ",".join(self._pool(index, now) for index in range(len(POOL_HOSTS)))
        return self.succeeded(now, 7, "3 Pool(s)", f'"POOLS":[{rows}]')

    def devs(self, now: float) -> str:
        boards = self.unit.model.boards
        rows = ",".join(self._board(board, now) for board in range(boards))
        return self.succeeded(now, 9, f"{boards} ASC(s)", f'"DEVS":[{rows}]')

    def devdetails(self, now: float) -> str:
        rows = ",".join(
            f'{{"DEVDETAILS":{board},"Name":"SM","ID":{board},"Driver":"bitmicro","Kernel":"",'
            f'"Model":"{self.unit.model.type_name}"}}'
            for board in range(self.unit.model.boards)
        )
        return self.succeeded(now, 69, "Device Details", f'"DEVDETAILS":[{rows}]')

    def get_version(self, now: float) -> str:
        return self._message(
            now,
            {
                "api_ver": "2.0.5",
                "fw_ver": FIRMWARE_VERSION,
                "platform": "simulated",
                "chip": self.unit.model.type_name,
            },
        )

    def get_miner_info(self, now: float) -> str:
        unit = self.unit
        return self._message(
            now,
            {
                "ip": unit.address,
                "proto": "static",
                "mac": unit.mac,
                "hostname": unit.serial_number.lower(),
                "minersn": unit.serial_number,
                "powersn": f"{unit.serial_number}-PSU",
                "ledstat": "auto",
            },
        )

    def get_psu(self, now: float) -> str:
        watts = round(self.machine.power_w(now))
        return self._message(
            now,
            {
                "name": "P221B simulated",
                "pin": str(watts),
                "vin": "23000",
                "iin": str(round(watts / 0.23)),
                "fan_speed": "0" if self.machine.asleep else "6800",
                "serial_no": f"{self.unit.serial_number}-PSU",
            },
        )

    def get_error_code(self, now: float) -> str:
        return self._message(
            now, {"error_code": [{str(e): _stamp(now)} for e in self._errors(now)]}
        )

    def status(self, now: float) -> str:
        off = "true" if self.machine.asleep else "false"
        return self._message(
            now,
            {
                "mineroff": off,
                "mineroff_reason": "",
                "FirmwareVersion": f"'{FIRMWARE_VERSION}'",
                "power_mode": "Normal",
                "hash_percent": str(round(self.machine.power_share * 100)),
            },
        )

    # Writes

    def control(self, request: Request, now: float) -> str:
        if request.body.get("enc") == 1:
            return self._encrypted(request, now)
        if request.command == "get_token":
            return self._make_token(request.client, now)
        if request.command in _WRITES:
            return self._write(request.command, request.body, request.client, now)
        return self._error(now, INVALID_COMMAND, "invalid cmd")

    def _encrypted(self, request: Request, now: float) -> str:
        key = self._key  # a reboot changes the salt; the answer to it still has the old key
        try:
            raw = decrypt(key, str(request.body.get("data", "")))
            loaded: object = orjson.loads(raw)
        except NotDecodable:
            return self._error(now, BASE64_ERROR, "base64 decode error")
        except orjson.JSONDecodeError:
            # A wrong password gives a wrong key, and the body comes out as noise.
            return self._error(now, INVALID_JSON, "invalid json")
        if not isinstance(loaded, dict):
            return self._error(now, INVALID_JSON, "invalid json")
        body = cast("dict[str, Any]", loaded)
        command = str(body.get("cmd", body.get("command", "")))
        plain = self._write(command, body, request.client, now)
        return f'{{"enc":"{encrypt(key, plain)}"}}'

    def _write(self, command: str, body: Mapping[str, Any], client: str, now: float) -> str:
        if not self._token_is_good(str(body.get("token", "")), client, now):
            return self._error(now, TOKEN_WRONG, "token error")
        write = _WRITES.get(command)
        if write is None:
            return self._error(now, INVALID_COMMAND, "invalid cmd")
        if self.refuses_control:
            return self._error(now, COMMAND_ERROR, "refused by the simulated miner")
        return write(self, body, now)

    def power_off(self, _body: Mapping[str, Any], now: float) -> str:
        self.machine.sleep(now)
        return self._message(now, "API command OK")

    def power_on(self, _body: Mapping[str, Any], now: float) -> str:
        self.machine.wake(now)
        return self._message(now, "API command OK")

    def reboot(self, _body: Mapping[str, Any], now: float) -> str:
        self._tokens.clear()
        self.machine.reboot(now)
        return self._message(now, "API command OK")

    def restart_btminer(self, _body: Mapping[str, Any], now: float) -> str:
        self.machine.restart(now)
        return self._message(now, "API command OK")

    def set_power_pct(self, body: Mapping[str, Any], now: float) -> str:
        try:
            percent_of_full = int(str(body.get("percent", "")))
        except ValueError:
            percent_of_full = -1
        if percent_of_full not in range(101):
            return self._error(now, COMMAND_ERROR, "percent must be 0 to 100")
        self.machine.set_power_share(now, percent_of_full / 100)
        return self._message(now, "API command OK")

    # Tokens

    @property
    def _salt(self) -> str:
        seed = f"{self.unit.serial_number}/{self.machine.booted_at}"
        return hashlib.blake2s(seed.encode(), digest_size=4).hexdigest()

    @property
    def _key(self) -> str:
        return md5crypt_hash(self.password, self._salt)

    def _make_token(self, client: str, now: float) -> str:
        self._forget_old_tokens(now)
        if client not in self._tokens and len(self._tokens) >= CLIENTS:
            return self._error(now, TOO_MANY_TOKENS, "too many clients")
        tokens = self._tokens.setdefault(client, [])
        if len(tokens) >= TOKENS_PER_CLIENT:
            return self._error(now, TOO_MANY_TOKENS, "over max connect")
        self._tokens_made += 1
        seed = f"{self._salt}/{self._tokens_made}"
        newsalt = hashlib.blake2s(seed.encode(), digest_size=4).hexdigest()
        token = _Token(newsalt, f"{int(now) % 10000:04d}", now)
        tokens.append(token)
        message = {"time": token.time, "salt": self._salt, "newsalt": newsalt}
        return self._message(now, message, code=TOKEN_MADE)

    def _token_is_good(self, sign: str, client: str, now: float) -> bool:
        self._forget_old_tokens(now)
        return any(
            md5crypt_hash(self._key + token.time, token.newsalt) == sign
            for token in reversed(self._tokens.get(client, []))
        )

    def _forget_old_tokens(self, now: float) -> None:
        live = {
            client: [token for token in tokens if now - token.made_at < TOKEN_LIFE_S]
            for client, tokens in self._tokens.items()
        }
        self._tokens = {client: tokens for client, tokens in live.items() if tokens}

    # Parts of the reports

    def _message(self, now: float, message: object, *, code: int = OK) -> str:
        text = orjson.dumps(message).decode()
        return (
            f'{{"STATUS":"S","When":{int(now)},"Code":{code},"Msg":{text},'
            f'"Description":"{self.description}"}}'
        )

    def _error(self, now: float, code: int, message: str) -> str:
        return self._message(now, message, code=code).replace('"S"', '"E"', 1)

    def _unjoinable(self, now: float) -> str:
        return self._error(now, INVALID_COMMAND, "invalid cmd")

    def _elapsed_s(self, now: float) -> int:
        return 0 if self.machine.asleep else self.machine.elapsed_s(now)

    def _joules_per_th(self, now: float) -> float:
        hashrate_ths = self.machine.hashrate_ths(now)
        return self.machine.power_w(now) / hashrate_ths if hashrate_ths else 0.0

    def _errors(self, now: float) -> list[int]:
        return [OVERHEAT_ERROR] if self.machine.chip_c(now) > CHIP_LIMIT_C else []

    def _error_fields(self, now: float) -> str:
        errors = self._errors(now)
        codes = "".join(f'"Error Code {n}":{error},' for n, error in enumerate(errors))
        return f'"Error Code Count":{len(errors)},{codes}'

    def _pool(self, index: int, now: float) -> str:
        unit, shares, active = self.unit, self.machine.shares(now), index == 0
        accepted, rejected, stale = share_counts(self, now) if active else (0, 0, 0)
        ago_s = shares % 1 * unit.model.work_per_share_th / unit.hashrate_ths
        difficulty = unit.model.share_difficulty if active else 0
        return (
            f'{{"POOL":{index + 1},"URL":"stratum+tcp://{POOL_HOSTS[index]}:3333",'
            f'"Status":"Alive","Priority":{index},"Quota":1,"Long Poll":"N",'
            f'"Getworks":{accepted // 3},"Accepted":{accepted},"Rejected":{rejected},'
            f'"Works":{accepted * 9},"Discarded":0,"Stale":{stale},"Get Failures":0,'
            f'"Remote Failures":0,"User":"simulated.{unit.serial_number}",'
            f'"Last Share Time":{int(now - ago_s) if accepted else 0},'
            f'"Difficulty Accepted":{accepted * difficulty:.8f},'
            f'"Difficulty Rejected":{rejected * difficulty:.8f},'
            f'"Last Share Difficulty":{difficulty:.8f},"Has Stratum":true,'
            f'"Stratum Active":{"true" if active and not self.machine.asleep else "false"},'
            f'"Stratum URL":"{POOL_HOSTS[index]}","Stratum Difficulty":{difficulty:.8f},'
            f'"Pool Rejected%":{percent(rejected, accepted)},'
            f'"Pool Stale%":{percent(stale, accepted)}}}'
        )

    def _board(self, board: int, now: float) -> str:
        unit, machine = self.unit, self.machine
        share, board_c = unit.board_shares[board], machine.board_c(now) + board * 0.4
        rate_mhs, chip_c = machine.hashrate_ths(now) * share * 1e6, machine.chip_c(now)
        minute_mhs = machine.average_ths(now, 60) * share * 1e6
        average_mhs = machine.average_ths(now, max(1, machine.elapsed_s(now))) * share * 1e6
        return (
            f'{{"ASC":{board},"Name":"SM","ID":{board},"Slot":{board},"Enabled":"Y",'
            f'"Status":"Alive","Temperature":{board_c:.2f},"Chip Frequency":'
            f'{0 if machine.asleep else unit.model.frequency_mhz},"MHS av":{average_mhs:.2f},'
            f'"MHS 5s":{rate_mhs:.2f},"MHS 1m":{minute_mhs:.2f},"HS RT":{rate_mhs:.2f},'
            f'"Factory GHS":{unit.model.hashrate_ths * 1e3 / unit.model.boards:.0f},'
            f'"Accepted":0,"Rejected":0,"Hardware Errors":'
            f'{int(machine.hardware_errors(now) * share)},"Effective Chips":'
            f'{unit.model.chips_per_board},"PCB SN":"{unit.serial_number}-B{board}",'
            f'"Chip Temp Min":{chip_c - 9:.2f},"Chip Temp Max":{chip_c:.2f},'
            f'"Chip Temp Avg":{chip_c - 4:.2f},"chip_vol_diff":9}}'
        )


WhatsMiner.reports = {
    "version": WhatsMiner.version,
    "summary": WhatsMiner.summary,
    "pools": WhatsMiner.pools,
    "devs": WhatsMiner.devs,
    "edevs": WhatsMiner.devs,
    "devdetails": WhatsMiner.devdetails,
    "get_version": WhatsMiner.get_version,
    "get_miner_info": WhatsMiner.get_miner_info,
    "get_psu": WhatsMiner.get_psu,
    "get_error_code": WhatsMiner.get_error_code,
    "status": WhatsMiner.status,
}


_WRITES: Mapping[str, Callable[[WhatsMiner, Mapping[str, Any], float], str]] = {
    "power_off": WhatsMiner.power_off,
    "power_on": WhatsMiner.power_on,
    "reboot": WhatsMiner.reboot,
    "restart_btminer": WhatsMiner.restart_btminer,
    "set_power_pct": WhatsMiner.set_power_pct,
}


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S")

"""Antminers under LuxOS: real watts, and `curtail` behind a single short session.

Codes that telemetry does not name (402, 403, 404) are the simulator's own.
"""

import hashlib
from collections.abc import Callable, Mapping

from simulation.firmware.antminer import percent, pool_row, share_counts
from simulation.firmware.base import INVALID_COMMAND, Firmware
from simulation.inventory import Unit
from simulation.physics import Machine
from simulation.requests import Request

VERSION = "2025.7.10.152155 simulated"
COMPILED = '"CompileTime":"2025-07-10"'  # codespell:ignore compiletime
SESSION_IDLE_S = 60.0
BAD_PARAMETER = 402
BAD_SESSION = 403
REFUSED = 404
CORNERS = {
    "TopLeft": "Intake",
    "TopRight": "Intake",
    "BottomLeft": "Exhaust",
    "BottomRight": "Exhaust",
}


class LuxOS(Firmware):
    """An S19 or S21 that tells its watts and can be put to sleep."""

    description = f"LUXminer {VERSION}"
    joinable = Firmware.joinable | {"temps", "fans", "power"}

    def __init__(self, unit: Unit, machine: Machine) -> None:
        super().__init__(unit, machine)
        self._session_id = ""
        self._session_used_at = 0.0
        self._sessions_made = 0

    # Reports

    def version(self, now: float) -> str:
        return self.succeeded(
            now,
            22,
            "LUXminer versions",
            f'"VERSION":[{{"LUXminer":"{VERSION}","API":"3.7","Miner":"{VERSION}",'
            f'{COMPILED},"Type":"{self.unit.model.type_name}"}}]',
        )

    def config(self, now: float) -> str:
        unit, machine = self.unit, self.machine
        mode = "Sleep" if machine.asleep else "None"
        return self.succeeded(
            now,
            33,
            "LUXminer config",
            f'"CONFIG":[{{"ASC Count":{unit.model.boards},"PGA Count":0,"Pool Count":3,'
            f'"Strategy":"Failover","Log Interval":5,"Device Code":"LUX","OS":"Linux",'
            f'"ControlBoardType":"simulated","CurtailMode":"{mode}","DHCP":true,'
            f'"GreenLed":"auto","RedLed":"off","Hostname":"{unit.serial_number.lower()}",'
            f'"IPAddr":"{unit.address}","IsAtmEnabled":false,"IsPowerSupplyOn":'
            f'{"false" if machine.asleep else "true"},"MACAddr":"{unit.mac.lower()}",'
            f'"Model":"{unit.model.type_name}","Profile":"default","SerialNumber":'
            f'"{unit.serial_number}","SystemStatus":"{self._system_status(now)}"}}]',
        )

    def summary(self, now: float) -> str:
        machine, elapsed_s = self.machine, self.machine.elapsed_s(now)
        accepted, rejected, stale = share_counts(self, now)
        difficulty = self.unit.model.share_difficulty
        windows = (("1m", 60), ("5m", 300), ("15m", 900), ("30m", 1800), ("24h", 86400))
        rates = "".join(
            f'"GHS {name}":{machine.average_ths(now, window_s) * 1e3:.3f},'
            for name, window_s in windows
        )
        return self.succeeded(
            now,
            11,
            "Summary",
            f'"SUMMARY":[{{"Elapsed":{elapsed_s},"GHS 5s":{machine.hashrate_ths(now) * 1e3:.3f},'
            f'{rates}"GHS av":{machine.average_ths(now, elapsed_s) * 1e3:.3f},"Found Blocks":0,'
            f'"Getworks":{elapsed_s // 28},"Accepted":{accepted},"Rejected":{rejected},'
            f'"Hardware Errors":{machine.hardware_errors(now)},"Discarded":0,"Stale":{stale},'
            f'"Utility":{accepted * 60 / max(elapsed_s, 60):.2f},"Get Failures":0,'
            f'"Local Work":{elapsed_s * 31},"Remote Failures":0,"Network Blocks":'
            f'{elapsed_s // 600},"Total MH":{machine.work_th(now) * 1e6:.0f},'
            f'"Difficulty Accepted":{accepted * difficulty:.1f},'
            f'"Difficulty Rejected":{rejected * difficulty:.1f},'
            f'"Difficulty Stale":{stale * difficulty:.1f},"Best Share":'
            f'{difficulty * (accepted + 1)},"Device Hardware%":0.0,"Device Rejected%":0.0,'
            f'"Pool Rejected%":{percent(rejected, accepted)},'
            f'"Pool Stale%":{percent(stale, accepted)},"Last getwork":{int(now)}}}]',
        )

    def pools(self, now: float) -> str:
        rows = [pool_row(self, index, now) for index in range(3)]
        return self.succeeded(now, 7, "3 Pool(s)", f'"POOLS":[{",".join(rows)}]')

    def devs(self, now: float) -> str:
        boards = self.unit.model.boards
        order = (0, *range(boards - 1, 0, -1))  # LuxOS does not sort its boards by ASC
        rows = ",".join(self._board(board, now) for board in order)
        return self.succeeded(now, 9, f"{boards} ASC(s)", f'"DEVS":[{rows}]')

    def stats(self, now: float) -> str:
        machine, model = self.machine, self.unit.model
        rate_ghs, elapsed_s = machine.hashrate_ths(now) * 1e3, machine.elapsed_s(now)
        chains = "".join(
            f'"chain_acn{n + 1}":{model.chips_per_board},"chain_rate{n + 1}":'
            f'"{rate_ghs * share:.2f}","chain_hw{n + 1}":0,"freq{n + 1}":{model.frequency_mhz},'
            f'"temp_pcb{n + 1}":"{machine.board_c(now) + n:.0f}",'
            for n, share in enumerate(self.unit.board_shares)
        )
        fans = "".join(f'"fan{n}":{machine.fan_rpm(now, n)},' for n in range(1, model.fans + 1))
        return self.succeeded(
            now,
            70,
            "LUXminer stats",
            f'"STATS":[{{"LUXminer":"{VERSION}","Miner":"{VERSION}",{COMPILED},'
            f'"Type":"{model.type_name}"}},{{"STATS":0,"ID":"LUX0","Elapsed":{elapsed_s},'
            f'"GHS 5s":{rate_ghs:.2f},"GHS av":'
            f'{machine.average_ths(now, elapsed_s) * 1e3:.2f},"Mode":2,'
            f'"miner_count":{model.boards},"frequency":{model.frequency_mhz},'
            f'"fan_num":{model.fans},{fans}{chains}"rate_unit":"GH",'
            f'"total_rateideal":{model.hashrate_ths * 1e3:.2f},"total rate":{rate_ghs:.2f},'
            f'"total_acn":{model.chips}}}]',
        )

    def temps(self, now: float) -> str:
        board_c, inlet_c = self.machine.board_c(now), self.machine.inlet_c(now)
        cool_c = (board_c + inlet_c) / 2  # the intake side of a board, at the top here
        rows = ",".join(
            f'{{"ID":{board},"TEMP":{board},"TopLeft":{cool_c + board * 0.5:.2f},'
            f'"TopRight":{cool_c + board * 0.5 + 1:.2f},"BottomLeft":{board_c - 1.5:.2f},'
            f'"BottomRight":{board_c + board * 0.5:.2f}}}'
            for board in range(self.unit.model.boards)
        )
        labels = ",".join(
            f'{{"Location":"{corner}","Label":"{label}"}}' for corner, label in CORNERS.items()
        )
        return self.succeeded(
            now, 201, "Temperature values", f'"METADATA":[{labels}],"TEMPS":[{rows}]'
        )

    def fans(self, now: float) -> str:
        rows = ",".join(
            f'{{"FAN":{fan},"ID":{fan},"RPM":{rpm},"Speed":{min(100, rpm // 64)}}}'
            for fan in range(self.unit.model.fans)
            for rpm in (self.machine.fan_rpm(now, fan),)
        )
        return self.succeeded(now, 202, "Fan values", f'"FANS":[{rows}]')

    def power(self, now: float) -> str:
        watts = round(self.machine.power_w(now))
        return self.succeeded(now, 311, "Power", f'"POWER":[{{"PSU":true,"Watts":{watts}}}]')

    def session(self, now: float) -> str:
        session_id = self._session_id if self._session_lives(now) else ""
        return self.succeeded(now, 316, "Session", f'"SESSION":[{{"SessionID":"{session_id}"}}]')

    # Controls

    def control(self, request: Request, now: float) -> str:
        run = _CONTROLS.get(request.command)
        if run is None:
            return self.failed(now, INVALID_COMMAND, "Invalid command")
        session_id, _, argument = request.parameter.partition(",")
        if not self._session_lives(now) or session_id != self._session_id:
            return self.failed(now, BAD_SESSION, "Session is not active")
        self._session_used_at = now
        if self.refuses_control and request.command != "logoff":
            return self.failed(now, REFUSED, "Refused by the simulated miner")
        return run(self, argument, now)

    def logon(self, now: float) -> str:
        if self._session_lives(now):
            return self.failed(now, BAD_SESSION, "Another session is active")
        self._sessions_made += 1
        name = f"{self.unit.serial_number}/{self.machine.booted_at}/{self._sessions_made}"
        self._session_id = hashlib.blake2s(name.encode(), digest_size=4).hexdigest()
        self._session_used_at = now
        row = f'"SESSION":[{{"SessionID":"{self._session_id}"}}]'
        return self.succeeded(now, 316, "Session created", row)

    def logoff(self, _argument: str, now: float) -> str:
        self._session_id = ""
        return self.succeeded(now, 316, "Session terminated")

    def curtail(self, argument: str, now: float) -> str:
        match argument.strip().lower():
            case "sleep":
                self.machine.sleep(now)
                mode = "Sleep"
            case "wakeup":
                self.machine.wake(now)
                mode = "WakeUp"
            case _:
                return self.failed(now, BAD_PARAMETER, f"Unknown curtail mode '{argument}'")
        return self.succeeded(now, 335, f"Curtail mode {mode}", f'"CURTAIL":[{{"Mode":"{mode}"}}]')

    def reboot_device(self, _argument: str, now: float) -> str:
        self._session_id = ""
        self.machine.reboot(now)
        return self.succeeded(now, 305, "Rebooting device")

    def reset_miner(self, _argument: str, now: float) -> str:
        if self.machine.asleep:
            return self.failed(now, REFUSED, "The miner is asleep")
        self.machine.restart(now)
        return self.succeeded(now, 305, "Resetting miner")

    def reboot_board(self, argument: str, now: float) -> str:
        board = argument.partition(",")[0]
        if self.machine.asleep:
            return self.failed(now, REFUSED, "The miner is asleep")
        if not board.isdigit() or int(board) >= self.unit.model.boards:
            return self.failed(now, BAD_PARAMETER, f"Unknown board '{board}'")
        self.machine.restart_board(now)
        return self.succeeded(now, 305, f"Rebooting board {board}")

    def _session_lives(self, now: float) -> bool:
        return bool(self._session_id) and now - self._session_used_at < SESSION_IDLE_S

    def _system_status(self, now: float) -> str:
        status = {"sleeping": "Sleeping", "stopping": "Sleeping", "hashing": "Mining"}
        return f"{status.get(self.machine.state(now), 'Starting')} (simulated)"

    def _board(self, board: int, now: float) -> str:
        machine, unit = self.machine, self.unit
        share, elapsed_s = unit.board_shares[board], machine.elapsed_s(now)
        megahashes = share * 1e6
        windows = (("av", elapsed_s), ("1m", 60), ("5m", 300), ("15m", 900))
        rates = "".join(
            f'"MHS {name}":{machine.average_ths(now, window_s) * megahashes:.2f},'
            for name, window_s in windows
        )
        return (
            f'{{"ASC":{board},"ID":{board},"Board":{board},"Name":"LUX","Enabled":"Y","Status":'
            f'"{"Disabled" if machine.asleep else "Alive"}",'
            f'"Temperature":{machine.board_c(now) + board * 0.5:.2f},'
            f'"MHS 5s":{machine.hashrate_ths(now) * megahashes:.2f},{rates}'
            f'"Nominal MHS":{unit.model.hashrate_ths * 1e6 / unit.model.boards:.0f},'
            f'"Accepted":0,"Rejected":0,"Hardware Errors":'
            f'{int(machine.hardware_errors(now) * share)},"Device Elapsed":{elapsed_s},'
            f'"Connector":"J{board + 1}","Profile":"default",'
            f'"SerialNumber":"{unit.serial_number}-B{board}"}}'
        )


LuxOS.reports = {
    "version": LuxOS.version,
    "config": LuxOS.config,
    "summary": LuxOS.summary,
    "pools": LuxOS.pools,
    "devs": LuxOS.devs,
    "stats": LuxOS.stats,
    "temps": LuxOS.temps,
    "fans": LuxOS.fans,
    "power": LuxOS.power,
    "session": LuxOS.session,
    "logon": LuxOS.logon,
}


_CONTROLS: Mapping[str, Callable[[LuxOS, str, float], str]] = {
    "logoff": LuxOS.logoff,
    "curtail": LuxOS.curtail,
    "rebootdevice": LuxOS.reboot_device,
    "resetminer": LuxOS.reset_miner,
    "reboot": LuxOS.reboot_board,
}

"""Stock Antminer (bmminer): rates as strings in GH/s, no watts, and nothing to control."""

from simulation.firmware.base import ACCESS_DENIED, INVALID_COMMAND, Firmware
from simulation.requests import Request

MINER_VERSION = "uart_trans.1.3 simulated"
COMPILED = '"CompileTime":"Fri Aug  5 17:00:38 CST 2022"'  # codespell:ignore compiletime
POOL_HOSTS = ("pool-a.simulated.invalid", "pool-b.simulated.invalid", "pool-c.simulated.invalid")
WRITES = frozenset(
    {"addpool", "removepool", "enablepool", "disablepool", "switchpool", "poolpriority"}
    | {"poolquota", "restart", "quit", "save", "failover-only", "setconfig", "zero"}
    | {"ascset", "ascenable", "ascdisable", "privileged", "config", "devdetails"}
)


class Antminer(Firmware):
    """What an S19 or S21 answers as it leaves the factory."""

    description = "bmminer 1.0.0 simulated"

    def control(self, request: Request, now: float) -> str:
        if request.command in WRITES:
            message = f"Access denied to '{request.command}' command"
            return self.failed(now, ACCESS_DENIED, message)
        if request.command == "check":
            return self._check(request.parameter, now)
        return self.failed(now, INVALID_COMMAND, "Invalid command")

    def version(self, now: float) -> str:
        return self.succeeded(
            now,
            22,
            "BMMiner versions",
            f'"VERSION":[{{"BMMiner":"1.0.0 simulated","API":"3.1","Miner":"{MINER_VERSION}",'
            f'{COMPILED},"Type":"{self.unit.model.type_name}"}}]',
        )

    def summary(self, now: float) -> str:
        machine, unit = self.machine, self.unit
        elapsed_s = machine.elapsed_s(now)
        accepted, rejected, stale = share_counts(self, now)
        difficulty, work_th = unit.model.share_difficulty, machine.work_th(now)
        minutes = max(elapsed_s / 60, 1)
        return self.succeeded(
            now,
            11,
            "Summary",
            f'"SUMMARY":[{{"Elapsed":{elapsed_s},"GHS 5s":"{machine.hashrate_ths(now) * 1e3:.2f}",'
            f'"GHS av":{machine.average_ths(now, elapsed_s) * 1e3:.2f},'
            f'"GHS 30m":"{machine.average_ths(now, 1800) * 1e3:.2f}","Found Blocks":0,'
            f'"Getworks":{elapsed_s // 28},"Accepted":{accepted},"Rejected":{rejected},'
            f'"Hardware Errors":{machine.hardware_errors(now)},'
            f'"Utility":{accepted / minutes:.2f},"Discarded":{elapsed_s // 3},"Stale":{stale},'
            f'"Get Failures":{elapsed_s // 90000},"Local Work":{elapsed_s * 31},'
            f'"Remote Failures":0,"Network Blocks":{elapsed_s // 600},'
            f'"Total MH":{work_th * 1e6:.4f},"Work Utility":{work_th / 0.004294967 / minutes:.2f},'
            f'"Difficulty Accepted":{accepted * difficulty}.0,'
            f'"Difficulty Rejected":{rejected * difficulty}.0,'
            f'"Difficulty Stale":{stale * difficulty}.0,'
            f'"Best Share":{difficulty * (accepted + 1)},"Device Hardware%":0.0,'
            f'"Device Rejected%":0.0,"Pool Rejected%":{percent(rejected, accepted)},'
            f'"Pool Stale%%":{percent(stale, accepted)},"Last getwork":{int(now)}}}]',
        )

    def pools(self, now: float) -> str:
        rows = [pool_row(self, index, now) for index in range(len(POOL_HOSTS))]
        return self.succeeded(now, 7, "3 Pool(s)", f'"POOLS":[{",".join(rows)}]')

    def devs(self, now: float) -> str:
        machine = self.machine
        board_c, elapsed_s = machine.board_c(now), machine.elapsed_s(now)
        rows = ",".join(
            f'{{"ASC":{board},"Name":"BTM_SOC","ID":{board},"Enabled":"Y","Status":"Alive",'
            f'"Tenperature":{board_c + board:.2f},"MHS av":0.0,"MHS 5s":0.0,"Accepted":0,'
            f'"Rejected":0,"Hardware Errors":0,"Device Elapsed":{elapsed_s}}}'
            for board in range(self.unit.model.boards)
        )
        return self.succeeded(now, 9, f"{self.unit.model.boards} ASC(s)", f'"DEVS":[{rows}]')

    def stats(self, now: float) -> str:
        unit, machine = self.unit, self.machine
        between = "" if unit.quirk == "missing_comma" else ","
        elapsed_s, chip_c = machine.elapsed_s(now), machine.chip_c(now)
        rate_ghs, model = machine.hashrate_ths(now) * 1e3, unit.model
        chains = "".join(self._chain(board, rate_ghs, now) for board in range(model.boards))
        fans = "".join(f'"fan{n}":{machine.fan_rpm(now, n)},' for n in range(1, model.fans + 1))
        return self.succeeded(
            now,
            70,
            "BMMiner stats",
            f'"STATS":[{{"BMMiner":"1.0.0 simulated","Miner":"{MINER_VERSION}",'
            f'{COMPILED},"Type":"{model.type_name}"}}{between}'
            f'{{"STATS":0,"ID":"BTM_SOC0","Elapsed":{elapsed_s},"Calls":0,"Wait":0.0,"Max":0.0,'
            f'"Min":99999999.0,"GHS 5s":"{rate_ghs:.2f}",'
            f'"GHS av":{machine.average_ths(now, elapsed_s) * 1e3:.2f},'
            f'"rate_30m":"{machine.average_ths(now, 1800) * 1e3:.2f}","Mode":2,'
            f'"miner_count":{model.boards},"frequency":{model.frequency_mhz},'
            f'"fan_num":{model.fans},{fans}"temp_num":{model.boards},{chains}'
            f'"total_rateideal":{model.hashrate_ths * 1e3:.2f},"rate_unit":"GH",'
            f'"total_freqavg":{model.frequency_mhz},"total_acn":{model.chips},'
            f'"total rate":{rate_ghs:.2f},"temp_max":{int(chip_c)},'
            f'"no_matching_work":{machine.hardware_errors(now)},'
            f'"miner_version":"49.0.1.3 simulated","miner_id":"{unit.serial_number}"}}]',
        )

    def _chain(self, board: int, rate_ghs: float, now: float) -> str:
        machine, n = self.machine, board + 1
        pcb = int(machine.board_c(now)) + board
        chip = int(machine.chip_c(now)) - 2 + board
        share = self.unit.board_shares[board]
        chain_ghs = f"{rate_ghs * share:.2f}"
        return (
            f'"temp{n}":{pcb},"temp2_{n}":{chip},'
            f'"temp_pcb{n}":"{pcb - 6}-{pcb - 4}-{pcb - 1}-{pcb}",'
            f'"temp_chip{n}":"{chip - 6}-{chip - 3}-{chip - 1}-{chip}",'
            f'"temp_pic{n}":"{pcb - 9}-{pcb - 7}-{pcb - 4}-{pcb - 3}",'
            f'"chain_hw{n}":{int(machine.hardware_errors(now) * share)},'
            f'"chain_rate{n}":"{chain_ghs}","chain_avgrate{n}":{chain_ghs},'
            f"{self.unit.model.fixed_chain_fields[board]}"
        )

    def _check(self, command: str, now: float) -> str:
        exists = command in self.reports or command in WRITES
        access = command in self.reports
        row = f'"CHECK":[{{"Exists":"{"NY"[exists]}","Access":"{"NY"[access]}"}}]'
        return self.succeeded(now, 72, "Check command", row)


Antminer.reports = {
    "version": Antminer.version,
    "summary": Antminer.summary,
    "pools": Antminer.pools,
    "devs": Antminer.devs,
    "stats": Antminer.stats,
}


def share_counts(firmware: Firmware, now: float) -> tuple[int, int, int]:
    """Return accepted, rejected and stale shares since the miner started."""
    unit, found = firmware.unit, int(firmware.machine.shares(now))
    rejected, stale = int(found * unit.reject_rate), int(found * unit.stale_rate)
    return found - rejected - stale, rejected, stale


def percent(part: int, rest: int) -> str:
    return f"{100 * part / (part + rest):.4f}" if part else "0.0000"


def pool_row(firmware: Firmware, index: int, now: float) -> str:
    """Render one pool as bmminer and LUXminer do; the first of three is the one in use."""
    unit, machine = firmware.unit, firmware.machine
    if index > 0:
        return IDLE_POOLS[index].replace("SERIAL", unit.serial_number)
    shares = machine.shares(now)
    accepted, rejected, stale = share_counts(firmware, now)
    ago_s = int(shares % 1 * unit.model.work_per_share_th / unit.hashrate_ths)
    return _pool_fields(
        index=index,
        user=f"simulated.{unit.serial_number}",
        difficulty=unit.model.share_difficulty,
        counts=(accepted, rejected, stale),
        last_share=f"0:{ago_s // 60:02d}:{ago_s % 60:02d}" if accepted else "0",
    )


def _pool_fields(
    *, index: int, user: str, difficulty: int, counts: tuple[int, int, int], last_share: str
) -> str:
    host, active = POOL_HOSTS[index], index == 0
    accepted, rejected, stale = counts
    return (
        f'{{"POOL":{index},"URL":"stratum+tcp://{host}:3333","Status":"Alive",'
        f'"Priority":{index},"Quota":1,"Long Poll":"N","Getworks":{accepted // 3},'
        f'"Accepted":{accepted},"Rejected":{rejected},"Discarded":0,"Stale":{stale},'
        f'"Get Failures":0,"Remote Failures":0,"User":"{user}",'
        f'"Last Share Time":"{last_share}","Diff":"{difficulty}","Diff1 Shares":0,'
        f'"Proxy Type":"","Proxy":"","Difficulty Accepted":{accepted * difficulty}.0,'
        f'"Difficulty Rejected":{rejected * difficulty}.0,'
        f'"Difficulty Stale":{stale * difficulty}.0,"Last Share Difficulty":{difficulty}.0,'
        f'"Has Stratum":true,"Stratum Active":{"true" if active else "false"},'
        f'"Stratum URL":"{host if active else ""}","Has GBT":false,'
        f'"Best Share":{difficulty * (accepted + 1)},'
        f'"Pool Rejected%":{percent(rejected, accepted)},'
        f'"Pool Stale%%":{percent(stale, accepted)}}}'
    )


IDLE_POOLS = tuple(
    _pool_fields(
        index=index, user="simulated.SERIAL", difficulty=0, counts=(0, 0, 0), last_share="0"
    )
    for index in range(len(POOL_HOSTS))
)

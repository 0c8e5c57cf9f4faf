"""Ankr's bitcoin node: JSON-RPC, single or in a batch, as Bitcoin Core answers."""

from collections.abc import Callable
from typing import Any, cast

from simulation.upstreams.asking import Ask, Handler, Stall
from simulation.upstreams.chain import BLOCKS, FIRST_EPOCH, Block, target_of

STALL = Stall(offset_bps=0.0, period_hours=24.0)  # it tells no prices
METHOD_NOT_FOUND, BAD_PARAMETER, BAD_TYPE, BAD_REQUEST = -32601, -8, -1, -32600


class RpcError(Exception):
    """The node refuses: its code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def rpc(ask: Ask) -> object:
    """Answer one call, or each of a batch."""
    body = ask.body
    if isinstance(body, list):
        return [_answer(ask, call) for call in cast("list[object]", body)]
    return _answer(ask, body)


def _answer(ask: Ask, call: object) -> dict[str, Any]:
    asked = cast("dict[str, Any]", call) if isinstance(call, dict) else {}
    base: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.get("id")}
    try:
        return base | {"result": _call(ask, asked.get("method"), asked.get("params") or [])}
    except RpcError as error:
        return base | {"error": {"code": error.code, "message": str(error)}}


def _call(ask: Ask, method: object, parameters: object) -> object:
    if not isinstance(method, str) or not isinstance(parameters, list):
        raise RpcError(BAD_REQUEST, "Invalid request")
    if method not in METHODS:
        raise RpcError(METHOD_NOT_FOUND, f"Method {method} not found")
    return METHODS[method](ask, cast("list[Any]", parameters))


def get_blockchain_info(ask: Ask, parameters: list[Any]) -> object:
    del parameters
    tip = ask.chain.block(ask.height)
    return {
        "chain": "main",
        "blocks": tip.height,
        "headers": tip.height,
        "bestblockhash": ask.chain.hash_of(tip.height),
        "bits": f"{tip.bits:08x}",
        "target": f"{target_of(tip.bits):064x}",
        "difficulty": ask.told(tip.difficulty),
        "time": int(ask.said_s(tip.time_s)),
        "mediantime": int(ask.said_s(_median_time_s(ask, tip.height))),
        "verificationprogress": 0.9999987,
        "initialblockdownload": False,
        "chainwork": f"{int(ask.chain.work(tip.height)) << 32:064x}",
        "size_on_disk": 700_000_000_000,
        "pruned": False,
        "warnings": [],
    }


def get_difficulty(ask: Ask, parameters: list[Any]) -> object:
    del parameters
    return ask.told(ask.chain.epoch_at(ask.now_s).difficulty)


def get_network_hashps(ask: Ask, parameters: list[Any]) -> object:
    """Answer the hashrate over the last blocks (120), or since the retarget for -1."""
    blocks = _whole(parameters, 0, 120)
    height = _whole(parameters, 1, -1)
    tip = ask.height if height < 0 else height
    if not ask.chain.knows(tip, ask.now_s):
        raise RpcError(BAD_PARAMETER, "Block does not exist at specified height")
    if blocks == 0 or blocks < -1:
        raise RpcError(BAD_PARAMETER, "Invalid nblocks")
    span = tip % BLOCKS + 1 if blocks == -1 else blocks
    return ask.told(ask.chain.hashes_per_s(tip, span))


def get_mining_info(ask: Ask, parameters: list[Any]) -> object:
    del parameters
    tip = ask.chain.block(ask.height)
    return {
        "blocks": tip.height,
        "bits": f"{tip.bits:08x}",
        "difficulty": ask.told(tip.difficulty),
        "networkhashps": get_network_hashps(ask, []),
        "pooledtx": 42_000,
        "chain": "main",
    }


def get_block_stats(ask: Ask, parameters: list[Any]) -> object:
    """Answer one block's amounts in satoshi, all or the named ones."""
    found = _block(ask, parameters[0] if parameters else None)
    stats: dict[str, Any] = {
        "avgfee": found.fees_sat // max(found.transactions - 1, 1),
        "avgfeerate": found.fees_sat // 1_000_000,
        "blockhash": ask.chain.hash_of(found.height),
        "height": found.height,
        "mediantime": int(ask.said_s(_median_time_s(ask, found.height))),
        "subsidy": found.subsidy_sat,
        "time": int(ask.said_s(found.time_s)),
        "total_size": found.size_bytes,
        "totalfee": found.fees_sat,
        "txs": found.transactions,
    }
    if not parameters[1:]:
        return stats
    if not isinstance(parameters[1], list):
        raise RpcError(BAD_TYPE, "JSON value is not an array as expected")
    wanted = [str(name) for name in cast("list[object]", parameters[1])]
    unknown = [name for name in wanted if name not in stats]
    if unknown:
        raise RpcError(BAD_PARAMETER, f"Invalid selected statistic '{unknown[0]}'")
    return {name: stats[name] for name in wanted}


def get_block_count(ask: Ask, parameters: list[Any]) -> object:
    del parameters
    return ask.height


def get_best_block_hash(ask: Ask, parameters: list[Any]) -> object:
    del parameters
    return ask.chain.hash_of(ask.height)


def get_block_hash(ask: Ask, parameters: list[Any]) -> object:
    return ask.chain.hash_of(_block(ask, _whole(parameters, 0, -1)).height)


def get_block_header(ask: Ask, parameters: list[Any]) -> object:
    """Answer a block's header by its hash."""
    found = _block(ask, str(parameters[0]) if parameters else "")
    return {
        "hash": ask.chain.hash_of(found.height),
        "confirmations": ask.height - found.height + 1,
        "height": found.height,
        "version": 0x20000000,
        "time": int(ask.said_s(found.time_s)),
        "mediantime": int(ask.said_s(_median_time_s(ask, found.height))),
        "bits": f"{found.bits:08x}",
        "difficulty": ask.told(found.difficulty),
        "nTx": found.transactions,
        "previousblockhash": ask.chain.hash_of(max(found.height - 1, FIRST_EPOCH * BLOCKS)),
    }


def _block(ask: Ask, which: object) -> Block:
    if isinstance(which, str):
        height = ask.chain.height_of(which, ask.now_s)
    else:
        height = which if isinstance(which, int) else None
    if height is None or not ask.chain.knows(height, ask.now_s):
        raise RpcError(BAD_PARAMETER, "Block not found")
    return ask.chain.block(height)


def _whole(parameters: list[Any], index: int, default: int) -> int:
    if len(parameters) <= index:
        return default
    value = parameters[index]
    if isinstance(value, bool) or not isinstance(value, int):
        raise RpcError(BAD_TYPE, "JSON value is not an integer as expected")
    return value


def _median_time_s(ask: Ask, height: int) -> int:
    times = sorted(block.time_s for block in ask.chain.blocks(height - 10, height))
    return times[len(times) // 2]


METHODS: dict[str, Callable[[Ask, list[Any]], object]] = {
    "getblockchaininfo": get_blockchain_info,
    "getdifficulty": get_difficulty,
    "getnetworkhashps": get_network_hashps,
    "getmininginfo": get_mining_info,
    "getblockstats": get_block_stats,
    "getblockcount": get_block_count,
    "getbestblockhash": get_best_block_hash,
    "getblockhash": get_block_hash,
    "getblockheader": get_block_header,
}
ROUTES: dict[str, Handler] = {
    "POST /": rpc,
    "POST /btc": rpc,
    "POST /btc/{key}": rpc,
}

"""The Kafka partition of a miner, and with it the worker that polls it.

The default partitioner of Java's client and of aiokafka: murmur2 of the key. It is written here
again because the domain is pure; a test holds it against aiokafka's.
"""

from uuid import UUID

PARTITIONS = 48
"""Of hosting.miner.v1; fixed for life."""

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def partition_of(miner_id: UUID) -> int:
    """Return the partition to which the events of a miner go."""
    return (_murmur2(str(miner_id).encode()) & 0x7FFFFFFF) % PARTITIONS


def _murmur2(data: bytes) -> int:
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if length & 3:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15

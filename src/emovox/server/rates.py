"""Rate limits and limits of concurrency, in all and for each address."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .refusals import RefusedError, busy

_MAX_ADDRESSES = 10_000  # whose rates are kept


class Bucket:
    """A token bucket, full at first: `per_s` tokens come each second, up to `size`, at least 1."""

    def __init__(self, per_s: float, size: float) -> None:
        self._per_s = per_s
        self._size = max(1.0, size)
        self._left = self._size
        self._updated = time.monotonic()

    def take(self, cost: float = 1.0) -> float:
        """Take tokens and return 0, or take none and return the seconds until there are enough.

        A cost above the size of the bucket takes all of it.
        """
        cost = min(cost, self._size)
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._updated) * self._per_s)
        self._updated = now
        if self._left < cost:
            return (cost - self._left) / self._per_s
        self._left -= cost
        return 0.0


class Addresses:
    """A bucket for each address; the least recently used are dropped."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """Take a token of an address; return the seconds to wait, as `Bucket.take` does."""
        address = client_of(address)
        bucket = self._buckets.pop(address, None) or Bucket(self._per_s, 2 * self._per_s)
        self._buckets[address] = bucket
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket.take()


class Shares:
    """Places for `what`, in the plural; one address may hold a share of them, or at least one.

    A client that finds no place is told to try again after `retry_s` seconds.
    """

    def __init__(self, what: str, n_places: int, share: float, retry_s: int = 1) -> None:
        self._what, self._retry_s = what, retry_s
        self._n_places, self._n_each = n_places, max(1, int(n_places * share))
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Hold a place while the block runs; RefusedError if none is left."""
        client = client_of(address)
        if self._held.total() >= self._n_places:
            raise self._full(f"{self._n_places} in all")
        if self._held[client] >= self._n_each:
            raise self._full(f"{self._n_each} from one address")
        self._held[client] += 1
        try:
            yield
        finally:
            self._held -= Counter([client])

    def _full(self, limit: str) -> RefusedError:
        return busy(f"{limit} is the limit of concurrent {self._what}", self._retry_s)


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the client's address of a request or a session; "" if it has none."""
    return str((scope.get("client") or ("",))[0])


def client_of(address: str) -> str:
    """Return the key of a client: its address, or for IPv6 its /64 network."""
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = ip.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((ip, 64), strict=False))

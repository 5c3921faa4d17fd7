"""How often, and how many at the same time, for all and for one address."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

_MAX_ADDRESSES = 10_000  # whose rate is remembered


class Bucket:
    """Holds what may still come now; it fills up as time goes by.

    Parameters
    ----------
    per_s : float > 0
        What comes in each second.
    most : float
        What it holds when nothing was taken for long; at first, too.
    """

    def __init__(self, per_s: float, most: float) -> None:
        self._per_s = per_s
        self._most = max(1.0, most)
        self._left = self._most
        self._then = time.monotonic()

    def take(self, cost: float = 1.0) -> float:
        """Take one, or as much as it costs; return the seconds until that was there, 0: at once.

        What costs more than the bucket holds takes all of it.
        """
        cost = min(cost, self._most)
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._then) * self._per_s)
        self._then = now
        if self._left < cost:
            return (cost - self._left) / self._per_s
        self._left -= cost
        return 0.0


class Addresses:
    """A bucket for each address; those not seen for longest are forgotten."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """Take one of an address; return the seconds to wait, as `Bucket.take` does."""
        address = one_client(address)
        bucket = self._buckets.pop(address, None) or Bucket(self._per_s, 2 * self._per_s)
        self._buckets[address] = bucket
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket.take()


class Shares:
    """Places that may be taken at the same time, of which one address may hold a share.

    Parameters
    ----------
    most : int
        In all.
    share : float in (0, 1]
        Of these; at least one place.
    """

    def __init__(self, most: int, share: float) -> None:
        self._most = most
        self._most_each = max(1, int(most * share))
        self._held: Counter[str] = Counter()

    def take(self, address: str) -> str:
        """Take a place; return "" or, if there is none left, the limit that is reached."""
        client = one_client(address)
        if self._held.total() >= self._most:
            return f"{self._most} in all"
        if self._held[client] >= self._most_each:
            return f"{self._most_each} from one address"
        self._held[client] += 1
        return ""

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._held -= Counter([one_client(address)])


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the address that a request or a session comes from; "" where it has none."""
    return str((scope.get("client") or ("",))[0])


def one_client(address: str) -> str:
    """Return what stands for all addresses of one client: of IPv6, the network of its site."""
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = ip.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((ip, 64), strict=False))

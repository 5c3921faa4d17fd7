"""How often: so many a second on average, and a few more at once."""

import time
from collections import OrderedDict

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
        bucket = self._buckets.pop(address, None) or Bucket(self._per_s, 2 * self._per_s)
        self._buckets[address] = bucket
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket.take()

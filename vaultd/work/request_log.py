"""The request log: what a client and a vendor said to each other, for the operator who turned it on.

Off by default. One sealed file a request, redacted, capped in size and number, gone after a day (THR-30).
"""

from __future__ import annotations


class RequestLog:
    """The request log of one house."""

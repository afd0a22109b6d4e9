"""A pretend vendor on loopback: OAuth, device flow, rotation, answers in four grammars, and scripted misbehaviour.

Shipped: `vaultd demo` runs on it, and so do the tests. It imports nothing of ours, so that no mistake of ours is
repeated in what judges it. Every secret it issues holds the word CANARY.
"""

from vaultd.sandbox.records import Account, Hit
from vaultd.sandbox.server import Sandbox
from vaultd.sandbox.state import Vendor

__all__ = ["Account", "Hit", "Sandbox", "Vendor"]

"""Flow hooks by name: what a vendor needs after a sign-in or a renewal that no manifest leaf can say.

A manifest names them in `oauth.signed-in` and `oauth.renewed`. Pure flows, one vendor quirk per file; a hook sees the
access token for its own requests and hands back what it learned, never tokens of its own making.
"""

from __future__ import annotations

from collections.abc import Callable

from vaultd.catalog.hooks.flow_google import set_up_projects
from vaultd.catalog.hooks.flow_iflow import read_user
from vaultd.catalog.hooks.learned import Learned
from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow
from vaultd.secret import Secret

FlowHook = Callable[[Provider, Secret], Flow[Learned]]

FLOW_HOOKS: dict[str, FlowHook] = {
    "google-projects": set_up_projects,
    "iflow-user-info": read_user,
}

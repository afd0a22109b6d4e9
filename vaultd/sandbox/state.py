"""The one owner of what a pretend vendor knows, and the only one who changes it.

No HTTP here: a refusal is a `GrantError`, and the handlers put it in the vendor's own words.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from vaultd.sandbox.records import (
    Access,
    Account,
    Armed,
    Code,
    Device,
    Family,
    GrantError,
    Hit,
    challenge_of,
    mask,
    new_secret,
)
from vaultd.sandbox.switches import Denial, Fault, Quota, Switches
from vaultd.sandbox.vendors import Rules

#: RFC 6749 §4.1.2 recommends at most ten minutes for a code.
CODE_SECONDS = 600

#: Requests kept per vendor: more than any test asks for, and bounded for a demo that stays up.
HITS_KEPT = 500

#: And so many bytes of their bodies: a handful of the largest a relay passes (64 MiB).
BODIES_KEPT = 256 * 1024 * 1024


class Vendor:
    """One vendor's whole memory. `now` is its clock in unix seconds."""

    def __init__(self, rules: Rules, now: Callable[[], float], access_seconds: float | None) -> None:
        self.rules = rules
        self.now = now
        self._initial = Switches(access_seconds=access_seconds)
        self._changed = asyncio.Event()
        self.reset()

    def reset(self) -> None:
        """Forget everything: switches, logins, records."""
        self.switches = self._initial
        self.faults: list[Armed] = []
        self.codes: dict[str, Code] = {}
        self.families: list[Family] = []
        self.access: dict[str, Access] = {}
        #: Whose refresh token it is or was.
        self.refreshes: dict[str, Family] = {}
        self.devices: dict[str, Device] = {}
        self.consented: set[Account] = set()
        #: Google: the project each account was given, and the polls of onboarding so far.
        self.onboarded: dict[Account, str] = {}
        self.onboard_polls: Counter[str] = Counter()
        self.services_on: set[str] = set()
        self.hits: deque[Hit] = deque(maxlen=HITS_KEPT)
        self.counts: Counter[str] = Counter()
        self.uses: Counter[str] = Counter()
        #: Used-up allowances and when they come back, by this vendor's clock.
        self.exhausted: list[tuple[Quota, float]] = []
        self.denials: list[Denial] = []
        #: Inference requests under way, and the most there ever were, per bearer token or key (masked as `uses` is).
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.released = asyncio.Event()
        self.touch()

    # -- switches ----------------------------------------------------------------------------------------------

    def set(self, **changes: Any) -> None:
        """Change switches by name. Raises msgspec.ValidationError for an unknown name or a wrong type."""
        merged = msgspec.structs.asdict(self.switches) | changes
        self.switches = msgspec.convert(merged, Switches)
        self.touch()

    def arm(self, fault: Fault) -> None:
        self.faults.append(Armed(fault, fault.skip, fault.times or None))

    def exhaust(self, quota: Quota) -> None:
        self.exhausted.append((quota, self.now() + quota.seconds))

    def deny(self, denial: Denial) -> None:
        self.denials.append(denial)

    def lift(self) -> None:
        """All allowances are back, all denials are gone."""
        self.exhausted.clear()
        self.denials.clear()

    def begin(self, secret: str) -> None:
        """An inference request of whoever shows `secret` begins; `end` when it is answered or given up."""
        name = mask(secret)
        self.running[name] += 1
        self.most[name] = max(self.most[name], self.running[name])
        self.touch()

    def end(self, secret: str) -> None:
        self.running[mask(secret)] -= 1
        self.touch()

    def release(self) -> None:
        """Let everything that hangs or stalls now go on."""
        self.released.set()
        self.released = asyncio.Event()

    def note(self, hit: Hit) -> None:
        """Keep a request, and forget the oldest beyond the limits."""
        hit.when = self.now()
        self.hits.append(hit)
        while len(self.hits) > 1 and sum(len(kept.body) for kept in self.hits) > BODIES_KEPT:
            self.hits.popleft()
        self.counts[f"requests:{hit.at}"] += 1
        self.touch()

    def touch(self) -> None:
        """Something changed: wake who waits in `until`."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` holds; looked at after every change."""
        while not condition():
            await self._changed.wait()

    # -- authorization and tokens ------------------------------------------------------------------------------

    @property
    def person(self) -> Account:
        """Who signs in next."""
        return Account.of(self.rules.name, self.switches.account)

    def authorize(
        self, *, account: Account, redirect_uri: str, challenge: str, state: str, scope: str, offline: bool
    ) -> Code:
        code = Code(
            new_secret(self.rules.name, "code"),
            account,
            redirect_uri,
            challenge,
            state,
            scope,
            offline,
            self.now() + CODE_SECONDS,
        )
        self.codes[code.value] = code
        return code

    def redeem(self, value: str, *, redirect_uri: str, verifier: str, state: str) -> Access:
        """The code grant, RFC 6749 §4.1.3 with RFC 7636 §4.6."""
        code = self.codes.get(value)
        if code is None:
            raise GrantError("invalid_grant", "unknown authorization code")
        if code.family is not None:
            self.kill(code.family)
            self.counts["code_replays"] += 1
            raise GrantError("invalid_grant", "the code was used before; its tokens are revoked")
        if code.expires_at <= self.now():
            raise GrantError("invalid_grant", "the code has expired")
        if not _same_redirect(code.redirect_uri, redirect_uri):
            raise GrantError("invalid_grant", "redirect_uri differs from the authorization request's")
        if code.challenge and challenge_of(verifier) != code.challenge:
            raise GrantError("invalid_grant", "PKCE verification failed")
        if verifier and not code.challenge:
            raise GrantError("invalid_grant", "code_verifier without code_challenge")
        if self.rules.exchange_state and state != code.state:
            raise GrantError("invalid_grant", "state differs from the authorization request's")
        code.family = self._sign_in(code.account, code.scope, refreshable=code.offline)
        return self._issue(code.family)

    def login(self, email: str = "") -> Access:
        """A login without its dialogue, for tests that need hundreds. `access.family.refresh` renews it."""
        account = Account.of(self.rules.name, email or self.switches.account)
        return self._issue(self._sign_in(account, " ".join(sorted(self.rules.scopes)), refreshable=True))

    def _sign_in(self, account: Account, scope: str, *, refreshable: bool) -> Family:
        family = Family(f"{self.rules.name}-{len(self.families) + 1}", account, scope)
        if refreshable:
            self._rotate(family)
        self.families.append(family)
        self.counts["sign_ins"] += 1
        return family

    def _rotate(self, family: Family) -> None:
        family.refresh = new_secret(self.rules.name, "rt")
        self.refreshes[family.refresh] = family

    def _issue(self, family: Family) -> Access:
        access = Access(new_secret(self.rules.name, "at"), family, self.now() + self.access_seconds)
        self.access[access.value] = access
        self.touch()
        return access

    @property
    def access_seconds(self) -> float:
        stated = self.switches.access_seconds
        return self.rules.access_seconds if stated is None else stated

    def renew(self, refresh: str) -> Access:
        """The refresh grant, RFC 6749 §6, with rotation and reuse detection, RFC 9700 §4.14.2."""
        self.counts["presented:refresh"] += 1
        family = self.refreshes.get(refresh)
        if family is None:
            raise GrantError("invalid_grant", "unknown refresh token", detail="refresh_token_invalidated")
        if not family.alive:
            raise GrantError("invalid_grant", "this login was revoked", detail="refresh_token_invalidated")
        retired_at = family.retired.get(refresh)
        self.counts["presented:spent"] += retired_at is not None
        if retired_at is not None and self.now() - retired_at >= self.switches.grace_seconds:
            self.kill(family)
            self.counts["reuse_events"] += 1
            raise GrantError("invalid_grant", "the refresh token was used before", detail="refresh_token_reused")
        if (self.switches.refresh or self.rules.refresh) == "rotate":
            family.retired.setdefault(family.refresh, self.now())
            self._rotate(family)
        family.renewals += 1
        self.counts["renewals"] += 1
        return self._issue(family)

    def kill(self, family: Family) -> None:
        """Revoke all tokens of one sign-in."""
        family.alive = False
        for access in self.access.values():
            if access.family is family:
                access.revoked = True
        self.touch()

    def revoke(self, token: str) -> None:
        """RFC 7009: either token ends the sign-in; an unknown one is no error (§2.2)."""
        for family in self.families:
            if token == family.refresh or token in family.retired:
                self.kill(family)
        if token in self.access:
            self.kill(self.access[token].family)
        self.counts["revocations"] += 1

    def sign_out(self, email: str = "") -> None:
        """The person ends her logins at the vendor's own page; no email is everybody."""
        for family in self.families:
            if email in ("", family.account.email):
                self.kill(family)

    def expire(self, email: str = "") -> None:
        """Let the access tokens of `email`, or of everybody, be past their expiry."""
        for access in self.access.values():
            if email in ("", access.family.account.email):
                access.expires_at = self.now()

    def live(self, value: str) -> Access:
        """The access token or derived key that `value` is. Raises GrantError `invalid_token` (RFC 6750 §3.1)."""
        access = self.access.get(value) or next(
            (a for a in self.access.values() if a.api_key and a.api_key == value), None
        )
        if access is None:
            raise GrantError("invalid_token", "unknown token", detail="token_invalidated")
        if access.revoked:
            raise GrantError("invalid_token", "the token was revoked", detail="token_revoked")
        if access.expires_at <= self.now():
            raise GrantError("invalid_token", "the token has expired", detail="token_expired")
        return access

    def derive_key(self, access: Access) -> str:
        """iFlow: an API key per access token, dead when that token is."""
        access.api_key = access.api_key or new_secret(self.rules.name, "key")
        return access.api_key

    # -- device sign-in ----------------------------------------------------------------------------------------

    def start_device(self, *, challenge: str, scope: str) -> Device:
        switches = self.switches
        device = Device(
            device_code=new_secret(self.rules.name, "dc"),
            # RFC 8628 §6.1: consonants only, so that no word is spelt.
            user_code="-".join("".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(4)) for _ in range(2)),
            account=self.person,
            challenge=challenge,
            scope=scope,
            expires_at=self.now() + switches.device_seconds,
            pending_left=switches.pending_polls,
            slow_downs_left=switches.slow_downs,
        )
        self.devices[device.device_code] = device
        self.touch()
        return device

    def decide_device(self, user_code: str, verdict: Literal["approved", "denied", "expired"]) -> bool:
        """The person at the device page. False where no such code waits."""
        typed = re.sub(r"[^A-Z]", "", user_code.upper())
        for device in self.devices.values():
            if device.user_code.replace("-", "") == typed and device.verdict == "waiting":
                device.verdict = verdict
                self.touch()
                return True
        return False

    def poll_device(self, device_code: str) -> Device:
        """RFC 8628 §3.5. Returns the approved sign-in, once."""
        device = self.devices.get(device_code)
        self.counts["device_polls"] += 1
        if device is None or device.verdict == "used":
            raise GrantError("invalid_grant", "unknown device code")
        if device.slow_downs_left:
            device.slow_downs_left -= 1
            raise GrantError("slow_down", "polling too fast")
        if device.pending_left:
            device.pending_left -= 1
            raise GrantError("authorization_pending", "the person has not approved yet")
        by_itself: dict[str, Literal["approved", "denied", "expired"]]
        by_itself = {"auto": "approved", "deny": "denied", "expire": "expired"}
        if device.verdict == "waiting":
            device.verdict = by_itself.get(self.switches.device, "waiting")
        if device.verdict == "expired" or device.expires_at <= self.now():
            raise GrantError("expired_token", "the device code has expired")
        if device.verdict == "denied":
            raise GrantError("access_denied", "the person said no")
        if device.verdict == "waiting":
            raise GrantError("authorization_pending", "the person has not approved yet")
        device.verdict = "used"
        return device

    def redeem_device(self, device_code: str, verifier: str) -> Access:
        """The device grant, RFC 8628 §3.4."""
        known = self.devices.get(device_code)
        if known is not None and known.challenge and challenge_of(verifier) != known.challenge:
            raise GrantError("invalid_grant", "PKCE verification failed")
        device = self.poll_device(device_code)
        return self._issue(self._sign_in(device.account, device.scope, refreshable=True))


def _same_redirect(registered: str, presented: str) -> bool:
    """Exact, but for the Codex device dialect, whose code is bound to the vendor's own callback on whichever host."""
    suffix = "/deviceauth/callback"
    return registered == presented or (registered == suffix and presented.endswith(suffix))

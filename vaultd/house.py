"""Builds config, catalogue, keys, owner, network and renewer once, and replaces config and catalogue whole on reload.

Passed by argument, never a global. Nobody keeps `house.config` or `house.catalog` across an await: a reload swaps them.
No decision about a request or a credential in here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from vaultd import __version__
from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.models import Catalog
from vaultd.config.keys import AT_START
from vaultd.config.load import BODIES_KEPT, Loaded, read
from vaultd.config.model import Config
from vaultd.config.places import Places
from vaultd.errors import Misconfigured, VaultdError
from vaultd.keeper.near import Keeper
from vaultd.net import logs, otlp
from vaultd.net.client import Client
from vaultd.net.clock import Clock, SystemClock
from vaultd.net.log_file import LogFile
from vaultd.net.pulse import Pulse
from vaultd.net.recent import Recent
from vaultd.net.watch import Eye
from vaultd.pool.explain import at as moment
from vaultd.secret import Secret
from vaultd.vault import keyring as keyrings
from vaultd.vault.audit import DAEMON, Audit
from vaultd.vault.clients import ClientKeys
from vaultd.vault.compaction_seal import CompactionSeal
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner
from vaultd.vault.rootkey import Ask
from vaultd.work import management_key, watch
from vaultd.work.alerts import Alerts
from vaultd.work.editing import Editor
from vaultd.work.health.examine import watched
from vaultd.work.live import Live
from vaultd.work.metrics import Metrics
from vaultd.work.pending_sign_ins import PendingSignIns
from vaultd.work.plan import Pool
from vaultd.work.quotas import Quotas
from vaultd.work.remember import Memory
from vaultd.work.renew import Renewer, Told
from vaultd.work.renewal import renew
from vaultd.work.request_log import RequestLog
from vaultd.work.roster import from_config
from vaultd.work.seed import seed
from vaultd.work.tasks import Tasks
from vaultd.work.traces import Traces
from vaultd.work.usage import prices
from vaultd.work.usage.book import Book
from vaultd.work.usage.writer import Keep

_log = logging.getLogger("vaultd.house")

#: What a reload may find wrong.
_READING = frozenset(
    {
        "config-invalid",
        "config-missing",
        "config-unreadable",
        "manifest-invalid",
        "client-key-public",
        "tracing-unavailable",
    }
)
#: What renewals under way and unsaved tokens together may take of an end: systemd kills after 90 s (TimeoutStopSec),
#: of which streams may take 32 before this and the keeper 5 after it.
_END_SECONDS = 45.0


@dataclass
class Daemon:
    """That this house serves, since when and where. `address` is known once the server listens."""

    started_at: float
    address: str = ""
    admin_socket: str = ""


@dataclass
class House:
    """Everything a verb or a request needs."""

    env: Mapping[str, str]
    config_option: str | None
    places: Places
    config: Config
    config_source: str
    catalog: Catalog
    keyring: Keyring
    audit: Audit
    owner: Owner
    clients: ClientKeys
    seal: CompactionSeal
    client: Client
    keeper: Keeper
    clock: Clock
    renewer: Renewer
    pool: Pool
    memory: Memory
    metrics: Metrics
    usage: Book
    quotas: Quotas
    sign_ins: PendingSignIns
    request_log: RequestLog
    #: The last lines of the log.
    recent: Recent
    #: The log's file, where it goes to one.
    log_file: LogFile | None = None
    live: Live = field(default_factory=Live)
    pulse: Pulse = field(default_factory=Pulse)
    #: None where nobody asked for any.
    traces: Traces | None = None
    #: None where this house only answers one command.
    daemon: Daemon | None = None
    #: From `start` on.
    alerts: Alerts | None = None
    #: Set once no new request is taken.
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    #: What the operator should know, one line each; from the configuration and the manifests.
    warnings: list[str] = field(default_factory=list)
    #: What keeps the house from doing all it should and it alone sees: code (`work.health.codes`) → one line. Gone once
    #: it is mended.
    troubles: dict[str, str] = field(default_factory=dict)
    _tasks: Tasks = field(default_factory=Tasks)
    _eye: Eye | None = None
    _seen: str = ""

    def __post_init__(self) -> None:
        #: The one way a program changes the configuration's file.
        self.editor = Editor(self)

    async def start(self, pace: watch.Pace = watch.DEFAULT_PACE) -> None:
        """Renews ahead of expiry and follows the files, until `close`."""
        self._seen = watch.fingerprint(self._files())
        self._eye = Eye()
        following = watch.follow(
            self._eye,
            proof=self.owner.folder,
            folders=self._folders,
            look=self.look,
            trouble=lambda reason: self._trouble("file-events-absent", reason),
            pace=pace,
        )
        self._tasks.start("follow files", following)
        self._tasks.start("pulse", self.pulse.forever())
        self._tasks.start("renew", self.renewer.forever())
        self._tasks.start("save", self.owner.keep_saving(self.clock))
        self._tasks.start("remember the pool", self.memory.forever())
        self._tasks.start("keep requests for a day", self.request_log.forever())
        self._tasks.start("hash the management key", self._hash_management_key())
        self._tasks.start("audit", self.audit.keep_trying(self.clock.sleep))
        await self.audit.note(DAEMON, "daemon started", __version__)
        self.usage.start()
        if self.traces is not None:
            self._tasks.start("traces", self.traces.forever())
        self.alerts = Alerts(
            self, lambda: watched(self), self.client.send, lambda reason: self._trouble("webhook-failing", reason)
        )
        self._tasks.start("alerts", self.alerts.forever())

    async def look(self) -> None:
        """Takes up what changed in the files since the last look. Compares contents: an event is only a hint."""
        await self.take_up()
        known = set(self.owner.refused().items())
        if await self.owner.rescan():
            _log.info("credentials changed on disk")
        for file, reason in self.owner.refused().items() - known:
            _log.warning("credential file refused", extra={"file": file, "reason": reason})
        await self.clients.rescan()

    async def take_up(self) -> None:
        """The configuration as it is in the files now; each change once, whoever sees it first: watcher or editor."""
        seen = watch.fingerprint(self._files())
        if seen != self._seen:
            self._seen = seen
            await self.reload("a file changed")

    async def reload(self, reason: str) -> None:
        """Reads configuration and manifests again. A bad edit keeps the old ones whole, and `troubles` says why."""
        try:
            loaded = _read(self.env, self.config_option)
            self._refuse_vanished(loaded)
            catalog = load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)
        except Misconfigured as error:
            self.metrics.reload("refused")
            self._end_troubles(_READING - {error.code})
            self._trouble(error.code, f"the last good configuration is in use: {error}")
            await self.audit.note(DAEMON, "configuration refused", self.config_source, error.code)
            return
        old, self.config, self.catalog = self.config, loaded.config, catalog
        self.config_source, self.places = loaded.source, loaded.places
        if self.config.request_log and not self.request_log.on:
            _log.warning(BODIES_KEPT)
        self.request_log.turn(self.config.request_log)
        self.warnings[:] = _warnings(loaded, catalog, self.keyring, self.request_log)
        self.clients.with_config_keys(self.config.api_keys)
        self.client.use_proxy(self.config.proxy_url)
        use_usage(self)
        if self.daemon is not None:
            set_up_log(self)
            # Not waited for: the edit that led here may be what the next one waits for.
            self._tasks.start("hash the management key", self._hash_management_key())
        fixed = [name for name in AT_START if getattr(old, _field(name)) != getattr(self.config, _field(name))]
        restart = f"{', '.join(fixed)} changed: restart vaultd for it to count" if fixed else None
        self._trouble("config-restart", restart)
        self._end_troubles(_READING)
        self.quotas.keep(self.pool.roster(self))
        self.renewer.wake()
        self.metrics.reload("taken")
        _log.info("configuration reloaded", extra={"reason": reason, "file": self.config_source})
        await self.audit.note(DAEMON, "configuration reloaded", self.config_source, reason)

    async def _hash_management_key(self) -> None:
        """The file is to hold nothing that opens the house. Where it cannot be written memory at least holds nothing,
        and `doctor` names the file."""
        config = self.config
        rules = config.remote_management
        if not management_key.is_plain(rules.secret_key):
            self._trouble("management-key-plain", None)
            return
        try:
            await self.editor.hash_management_key()
            await self.audit.note(DAEMON, "management key hashed", self.config_source)
        except VaultdError as error:
            self._trouble("management-key-plain", f"remote-management.secret-key stands there plainly: {error}")
            secret = await asyncio.to_thread(management_key.hashed, rules.secret_key)
            if self.config is config:
                self.config = replace(config, remote_management=replace(rules, secret_key=secret))

    async def close(self) -> None:
        await self.sign_ins.close()
        await self.editor.close()
        await self._tasks.close()
        await self.request_log.close()
        await self.memory.close()
        await self.usage.close()
        if self._eye is not None:
            self._eye.close()
        deadline = self.clock.boot() + _END_SECONDS
        await self.renewer.drain(_END_SECONDS)
        if self.daemon is not None:
            await self._save(deadline)
        await self.keeper.close()
        if self.traces is not None:
            await self.traces.close()
        await self.client.close()
        if self._eye is not None:
            await self.audit.note(DAEMON, "daemon stopped")

    async def _save(self, deadline: float) -> None:
        """A new token in memory alone keeps the house open for a while (SEC-46); the keeper goes on after it."""
        for id_ in self.owner.unsaved():
            _log.warning("not ending yet: this is still to be saved", extra={"credential": id_})
        while self.owner.unsaved() and self.clock.boot() < deadline:
            await self.owner.retry()
            await self.clock.sleep(1.0)

    def secrets(self) -> Iterator[Secret]:
        """Every secret in memory, for the log to leave out."""
        # Not `pool.roster`, which belongs to the loop: any thread may have something to log.
        for credential in (*self.owner.snapshot().values(), *from_config(self.config)):
            tokens = credential.tokens
            held = (tokens.access, tokens.refresh, tokens.id_token, tokens.api_key) if tokens else ()
            yield from (secret for secret in (credential.key, *held) if secret is not None)

    def kept_out(self) -> Iterator[Secret]:
        """What the request log leaves out besides: whatever else lets anybody in."""
        yield from self.secrets()
        yield from (key.value for key in self.clients.list())
        yield from (one.settings.proxy_url for one in self.pool.roster(self).values() if one.settings.proxy_url)
        given = (self.config.proxy_url, self.config.remote_management.secret_key, self.env.get("MANAGEMENT_PASSWORD"))
        yield from (Secret(value) for value in given if value)

    def _refuse_vanished(self, loaded: Loaded) -> None:
        """An editor that replaces by rename leaves a moment without a file, or with an empty one: no configuration."""
        before, now = self.places.config_file, loaded.places.config_file
        if before is not None and now is None:
            raise Misconfigured(f"{before} is gone; put it back, or restart without one", code="config-missing")
        if now is not None and self.config != Config() and not now.read_bytes().strip():
            raise Misconfigured(f"{now} is empty; write it again, or restart with it empty", code="config-missing")

    def _trouble(self, code: str, reason: str | None) -> None:
        if reason is None:
            self.troubles.pop(code, None)
        elif self.troubles.get(code) != reason:
            self.troubles[code] = reason
            _log.warning(reason)

    def _end_troubles(self, codes: Iterable[str]) -> None:
        for code in codes:
            self.troubles.pop(code, None)

    def _folders(self) -> list[Path]:
        """Where changes are waited for. A linked config is watched at both ends: either may be replaced."""
        folders = [self.owner.folder, self.owner.folder / ".vault" / "clients", self.places.providers_dir]
        if self.places.prices_file is not None:
            folders.append(self.places.prices_file.parent)
        return [folder for folder in (*folders, *(config.parent for config in self._configs())) if folder.is_dir()]

    def _files(self) -> list[Path]:
        priced = [self.places.prices_file] if self.places.prices_file is not None else []
        # The config at its link's end alone: read at both, one look could see it before an edit and after it.
        return [self._configs()[-1], *priced, *self.places.providers_dir.glob("*.yaml")]

    def _configs(self) -> list[Path]:
        wanted = self.places.config_file or self.places.config_dir / "config.yaml"
        return [wanted, wanted.resolve()]


async def build(
    env: Mapping[str, str],
    config_option: str | None,
    *,
    for_daemon: bool,
    ask: Ask | None = None,
    clock: Clock | None = None,
    callback_bind: str = "",
    make: bool = True,
    rehearsed_in: Path | None = None,
) -> House:
    """`ask` gets the vault's passphrase from a person, where it has one. `clock`: another than this machine's.
    `callback_bind`: where sign-ins wait for the browser, in place of loopback. `make`: whether a vault is made where
    none is. `rehearsed_in`: a folder for one that is thrown away. Raises Misconfigured."""
    await seed(env, config_option)
    loaded = _read(env, config_option)
    places, config = loaded.places, loaded.config
    if rehearsed_in is not None:
        places = places.rehearsed(rehearsed_in)
    catalog = load(shipped_folder(), places.providers_dir, config, loaded.source)
    keyring = keyrings.unlock(places.auth_dir, env, None, places.key_file, ask=ask, make=make)
    owner = Owner(keyring.credentials, keyring, state_dir=places.state_dir, emergency=places.emergency)
    await owner.load()
    clients = ClientKeys(keyring)
    await clients.rescan()
    clients.with_config_keys(config.api_keys)
    client, metrics = Client(config.proxy_url), Metrics()
    keeper = Keeper(owner, keyring, places, lambda: house.config.proxy_url, quiet=not for_daemon)
    # The keeper lives by the machine's clock: who brings another renews by it, in here.
    renew_ = keeper if clock is None else partial(renew, owner, send=client.send, clock=clock)
    clock = clock or SystemClock()
    audit = Audit(keyring, places.state_dir, clock.now)
    renewer = Renewer(owner, lambda: house.catalog, renew_, clock, on_outcome=lambda told: _count(house, told))
    pool = Pool(renewer.failing)
    house = House(
        env=env,
        config_option=config_option,
        places=places,
        config=config,
        config_source=loaded.source,
        catalog=catalog,
        keyring=keyring,
        audit=audit,
        owner=owner,
        clients=clients,
        seal=CompactionSeal(keyring.pepper),
        client=client,
        keeper=keeper,
        clock=clock,
        renewer=renewer,
        pool=pool,
        memory=Memory(owner.folder / ".vault", pool, clock),
        metrics=metrics,
        usage=Book(places.state_dir, clock, metrics),
        quotas=Quotas(clock.now),
        sign_ins=PendingSignIns(owner, client.send, clock, audit, callback_bind=callback_bind),
        request_log=RequestLog(places.state_dir / "requests", keyring, clock, lambda: list(house.kept_out())),
        recent=Recent(lambda: list(house.secrets())),
        daemon=Daemon(clock.now()) if for_daemon else None,
    )
    _settle(house, loaded)
    return house


def _settle(house: House, loaded: Loaded) -> None:
    """What the parts hear of each other once all of them are there."""
    house.request_log.turn(house.config.request_log)
    _tell_numbers(house)
    house.warnings[:] = _warnings(loaded, house.catalog, house.keyring, house.request_log)
    if house.daemon is not None:
        set_up_log(house)
    else:  # a command says what happened by its answer; logging's last resort would say half of it once more
        logging.getLogger("vaultd").addHandler(logging.NullHandler())
    house.memory.recall(house.config.cooldown.max_seconds)
    use_usage(house)
    house.owner.changed(lambda: house.quotas.keep(house.pool.roster(house)))


def set_up_log(house: House) -> None:
    """Where the file cannot be written, stderr has the log: a daemon that says nothing is worse."""
    path = house.places.state_dir / "logs" / "vaultd.log"
    house.troubles.pop("log-unwritable", None)
    house.log_file = None
    if house.config.logging_to_file:
        try:
            house.log_file = LogFile(path)
        except OSError as error:
            house.troubles["log-unwritable"] = f"the log file {path} cannot be written: {error.strerror}"
    handler, config = house.log_file or logs.Gathered(), house.config
    journal = house.log_file is None and logs.in_journal(house.env)
    logs.set_up(
        handler, house.recent, debug=config.debug, secrets=house.secrets, form=config.log_format, journal=journal
    )


def use_usage(house: House) -> None:
    """As the configuration has it now. Prices that cannot be read leave the last good ones in use."""
    config, known, file = house.config.usage, house.usage.prices, house.places.prices_file
    house.troubles.pop("prices-unusable", None)
    try:
        known = prices.read(file) if file is not None else prices.Prices()
    except Misconfigured as error:
        house.troubles["prices-unusable"] = str(error)
        _log.warning("prices cannot be used", extra={"file": str(file), "reason": str(error)})
    house.usage.use(house.config.usage_statistics_enabled, Keep(config.detail_days, config.total_days), known)


def _read(env: Mapping[str, str], config_option: str | None) -> Loaded:
    """Raises Misconfigured, also for what it asks for and is not installed."""
    loaded = read(env, config_option)
    if loaded.config.tracing.otlp_url:
        otlp.require()
    return loaded


def _tell_numbers(house: House) -> None:
    """What becomes of sign-ins and requests is counted, and traced where a daemon is asked to."""
    house.sign_ins.told = house.metrics.sign_in
    tracing = house.config.tracing
    if house.daemon is not None and tracing.otlp_url:
        house.traces = Traces(tracing, house.client.send, house.clock, house.metrics.untraced)


def _count(house: House, told: Told) -> None:
    house.metrics.renewal(told.provider, told.outcome, told.seconds)
    if house.traces is not None:
        house.traces.renewal(told)


def _field(key: str) -> str:
    return key.replace("-", "_")


def _warnings(loaded: Loaded, catalog: Catalog, keyring: Keyring, kept: RequestLog) -> list[str]:
    since = f" (since {moment(kept.since)}, in {kept.folder})" if kept.on else ""
    told = [f"{line}{since}" if line == BODIES_KEPT else line for line in loaded.warnings]
    return [*told, *catalog.notes, *([keyring.root.warning] if keyring.root.warning else [])]

"""Every fault there is a name for, what it means and what to do about it: `docs/doctor.md` is written from here.

A code names what is wrong and not where it was seen, so that the same code stands in `doctor`, in an alert and in a
metric. `check` is the line of `doctor` it belongs to. An action is one command or one edit; `{subject}` is the
credential, file or provider that the finding is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vaultd.errors import Misconfigured

State = Literal["warn", "fail"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One code. `wakes`: somebody wants to be told of it without asking (`work.alerts`)."""

    check: str
    state: State
    means: str
    action: str
    wakes: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault that is there. `subject`: a credential's id, a file, a provider, or nothing more particular."""

    code: str
    subject: str
    says: str
    action: str

    @property
    def fault(self) -> Fault:
        return FAULTS[self.code]

    @property
    def sentence(self) -> str:
        """One line for a terminal, with the subject where what is said does not name it (a file: its last part)."""
        named = self.subject.rpartition("/")[2] in self.says
        return f"{self.says if named else f'{self.subject}: {self.says}'} ({self.action})"


def found(code: str, says: str, *, subject: str = "", action: str = "") -> Finding:
    """`action`: where the fault knows better than the table, such as a command with the right label."""
    return Finding(code, subject, says, action or FAULTS[code].action.format(subject=subject))


def at_start(error: Misconfigured) -> Finding:
    """Why no house could be built. A site that names no code speaks of the configuration."""
    code = error.code if error.code in FAULTS else "config-invalid"
    return found(code, str(error), subject="the file it names")


_CONFIG: Final = {
    "config-invalid": Fault(
        "config", "fail", "The configuration file cannot be accepted. A running daemon keeps the last good one.",
        "vaultd config check, and edit the key it names", wakes=True,
    ),
    "config-missing": Fault(
        "config", "fail", "A configuration file was named, or in use, and is not there.",
        "put the file back, or leave out --config and $VAULTD_CONFIG", wakes=True,
    ),
    "config-unreadable": Fault(
        "config", "fail", "The configuration file is there and cannot be read.", "chmod u+r {subject}",
    ),
    "config-restart": Fault(
        "config", "fail", "A key was changed that only a start reads (address, TLS, folders, key file).",
        "restart vaultd",
    ),
    "management-key-plain": Fault(
        "config", "warn", "The management key stands plainly in the configuration, which vaultd cannot write. In "
        "memory it is hashed.",
        "make the file writable for vaultd, or write the hash: htpasswd -nBC 12 '' (without its colon)",
    ),
    "config-warning": Fault(
        "warnings", "warn", "The configuration or a manifest says something that is accepted and rarely meant.",
        "edit what it names",
    ),
    "manifest-invalid": Fault(
        "config", "fail", "A drop-in manifest cannot be accepted. A running daemon keeps the last good catalogue.",
        "vaultd config check, and edit the manifest it names", wakes=True,
    ),
    "tracing-unavailable": Fault(
        "config", "fail", "Traces are to be sent, and OpenTelemetry is not installed.",
        "pip install 'vaultd[otel]', or take out tracing.otlp-url",
    ),
    "environment-unsafe": Fault(
        "config", "fail", "A variable of the environment would weaken TLS or write its keys to a file.",
        "unset the variable it names",
    ),
    "home-missing": Fault(
        "config", "fail", "Neither HOME nor the XDG variables say where anything lies.",
        "set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME",
    ),
}  # fmt: skip

_KEYS: Final = {
    "vault-missing": Fault(
        "root-key", "fail", "There is no vault here and no daemon answers: nothing was signed in or served yet.",
        "vaultd login --codex, or another vendor, or vaultd serve",
    ),
    "key-missing": Fault(
        "root-key", "fail", "There are sealed files, and no source gives a root key.",
        "bring the root key back to the place it names, from where it was backed up", wakes=True,
    ),
    "key-conflict": Fault(
        "root-key", "fail", "Two sources give different root keys; none is picked.",
        "remove the source that does not open the vault",
    ),
    "key-wrong": Fault(
        "root-key", "fail", "The root key (or passphrase) is not the one that seals the keyring.",
        "put the root key back that the vault was sealed with", wakes=True,
    ),
    "key-malformed": Fault(
        "root-key", "fail", "What stands where a root key should is none: 32 random bytes in base64, or a JWK.",
        "put the root key back that the vault was sealed with", wakes=True,
    ),
    "key-unreadable": Fault(
        "root-key", "fail", "The key file is there and cannot be read, or is no regular file.",
        "put the key file itself there, readable by the user that runs vaultd", wakes=True,
    ),
    "key-open": Fault(
        "root-key", "fail", "The key file, or its folder, is open to other users.",
        "chmod 600 the key file, and chmod go-w its folder",
    ),
    "key-foreign": Fault(
        "root-key", "fail", "The key file belongs to another user.", "chown the key file to the user that runs vaultd",
    ),
    "key-unwritable": Fault(
        "root-key", "fail", "A first start cannot write its new key file.",
        "set vault.key-file to a place that can be written",
    ),
    "key-in-environment": Fault(
        "root-key", "warn", "The root key stands in $VAULTD_ROOT_KEY, where any process of this user can read it.",
        "put it into a key file of mode 0600 and set vault.key-file",
    ),
    "key-new": Fault(
        "root-key", "warn", "A root key was just made, and nothing else opens what it seals.",
        "back up the key file",
    ),
    "passphrase-unasked": Fault(
        "root-key", "fail", "The vault is sealed by a passphrase, and there is no terminal to ask for it.",
        "start vaultd on a terminal, or vaultd vault rekey to a key file",
    ),
    "keyring-missing": Fault(
        "root-key", "fail", "There are sealed files and no keyring, which alone opens them.",
        "restore .vault/keyring.jwe.json from a backup", wakes=True,
    ),
    "keyring-damaged": Fault(
        "root-key", "fail", "The keyring file is cut short, overwritten or tampered with.",
        "restore .vault/keyring.jwe.json from a backup",
    ),
    "keyring-newer": Fault(
        "root-key", "fail", "The keyring was written by a later version of vaultd.", "install the vaultd that wrote it",
    ),
    "recovery-missing": Fault(
        "recovery-key", "warn", "There is no recovery key: a lost root key loses every login.",
        "vaultd vault recovery add --out FILE",
    ),
}  # fmt: skip

_FOLDER: Final = {
    "folder-open": Fault(
        "folder", "warn", "A folder of ours was open to other users. It is shut again at once, and reported.",
        "vaultd vault rotate, if others use this machine",
    ),
    "folder-foreign": Fault(
        "folder", "fail", "The credentials' folder belongs to another user.",
        "chown the folder to the user that runs vaultd",
    ),
    "folder-unwritable": Fault(
        "folder", "fail", "A folder of ours cannot be written: no renewal can be saved, so none is asked for.",
        "make the folder it names writable to the user that runs vaultd", wakes=True,
    ),
    "disk-full": Fault(
        "disk-space", "fail", "Less than 16 MiB (or no inode) is left where credentials lie: renewals stop.",
        "free some space on the file system of {subject}", wakes=True,
    ),
    "network-file-system": Fault(
        "file-system", "fail", "The credentials lie on a network file system, where locks and renames do not hold.",
        "set auth-dir to a local disk",
    ),
    "file-plaintext": Fault(
        "sealed-files", "fail", "A file in the folder is not sealed. It is never loaded.",
        "vaultd credentials import {subject} --yes --remove",
    ),
    "file-damaged": Fault(
        "sealed-files", "fail", "A sealed file is cut short, overwritten or tampered with.",
        "restore {subject} from a backup, or remove it and sign in again",
    ),
    "file-foreign": Fault(
        "sealed-files", "fail", "A file is sealed by a key that is not in this vault's keyring.",
        "remove {subject}, or put it back where it was sealed",
    ),
    "file-renamed": Fault(
        "sealed-files", "fail", "A sealed file has another name than it was sealed under, or is of another kind.",
        "give {subject} its old name back",
    ),
    "file-open": Fault(
        "sealed-files", "fail", "A sealed file is open to other users, or belongs to one.",
        "chmod 600 {subject}",
    ),
    "file-not-regular": Fault(
        "sealed-files", "fail", "A link, a pipe or a device stands where a sealed file should.",
        "put the file itself in place of {subject}",
    ),
    "file-unreadable": Fault(
        "sealed-files", "fail", "A sealed file cannot be read now; what is known of it stays in use.",
        "vaultd credentials list, once the disk reads again", wakes=True,
    ),
}  # fmt: skip

_LOGINS: Final = {
    "rolled-back": Fault(
        "sealed-files", "fail", "An older file than was in use stands there. Its tokens are spent: it is not used.",
        "vaultd login", wakes=True,
    ),
    "ledger-damaged": Fault(
        "renewal", "warn", "What is known of a login beside its file is damaged; a rolled-back file may go unseen.",
        "vaultd credentials refresh {subject}",
    ),
    "unsaved": Fault(
        "renewal", "fail", "A new token could not be saved. It works from memory, and is tried again every second.",
        "free space or repair the folder, before vaultd ends", wakes=True,
    ),
    "emergency-copy": Fault(
        "renewal", "fail", "A token that could not be saved lies sealed in the emergency copy.",
        "make the credentials' folder writable, then: vaultd credentials refresh {subject}", wakes=True,
    ),
    "journal-unusable": Fault(
        "renewal", "warn", "The commit journal cannot be read or written: a restored folder may go unseen.",
        "make the state folder writable",
    ),
    "emergency-unusable": Fault(
        "renewal", "warn", "An emergency copy, or the place for one, is of no use.",
        "make {subject} readable and writable to the user that runs vaultd",
    ),
    "interrupted-renewal": Fault(
        "renewal", "warn", "A renewal was begun and never ended; whether its token is spent is not known.",
        "vaultd credentials refresh {subject}",
    ),
    "sign-in-required": Fault(
        "credentials", "fail", "A login is dead: the vendor refused to renew it for good.",
        "vaultd login", wakes=True,
    ),
    "login-ending": Fault(
        "renewal", "warn", "A login will end and nothing renews it: it has no refresh token, or its renewal fails.",
        "vaultd login", wakes=True,
    ),
    "renewal-failing": Fault(
        "renewal", "warn", "The last renewal failed. It is tried again with growing pauses, by this command at once.",
        "vaultd credentials refresh {subject}", wakes=True,
    ),
    "token-expired": Fault(
        "renewal", "warn", "A token has expired and was not renewed, mostly because no daemon runs.",
        "vaultd credentials refresh {subject}",
    ),
    "second-refresher": Fault(
        "renewal", "warn", "Another program of this user still holds a login that was taken over. At its next refresh "
        "it is logged out, and may end the login for both.",
        "vaultd credentials import --from {subject} --remove --yes",
    ),
    "vendor-down": Fault(
        "vendors", "warn", "A vendor's token endpoint fails for everybody; it is tried now and then.",
        "wait: it is tried again by itself", wakes=True,
    ),
    "endpoint-moved": Fault(
        "vendors", "fail", "A vendor's token endpoint is gone or redirects: the manifest's address is out of date.",
        "set providers.{subject}.endpoints.token, or install a newer vaultd", wakes=True,
    ),
    "proxy-unreachable": Fault(
        "proxy", "fail", "Nothing answers at the address of a configured proxy.",
        "start the proxy, or edit the proxy-url of {subject}",
    ),
}  # fmt: skip

_POOL: Final = {
    "no-credential": Fault(
        "credentials", "warn", "There is no credential at all.", "vaultd login --help",
    ),
    "provider-missing": Fault(
        "credentials", "fail", "A credential's provider is no longer known: its manifest is gone.",
        "put the manifest back into the providers folder",
    ),
    "credential-refused": Fault(
        "credentials", "warn", "The vendor answered 401 to a credential that cannot be renewed, or not any more.",
        "sign in again, or add the key anew",
    ),
    "no-credit": Fault(
        "credentials", "warn", "The vendor says that the account has no credit (402).",
        "pay the account, or disable the credential",
    ),
    "forbidden": Fault(
        "credentials", "warn", "The vendor forbids what the credential was used for (403).",
        "look at the account's page at the vendor",
    ),
    "model-not-allowed": Fault(
        "credentials", "warn", "The account may not use a model; the credential is left out for that model.",
        "exclude the model from the credential, or change the account's plan",
    ),
    "cooling": Fault(
        "credentials", "warn", "A credential is set aside, because of a limit or a failing vendor.", "wait",
    ),
}  # fmt: skip

_MACHINE: Final = {
    "clock-implausible": Fault(
        "clock", "fail", "The clock says a time that is past: before vaultd was made, or before the last renewal.",
        "set the clock, for example: timedatectl set-ntp true", wakes=True,
    ),
    "clock-skew": Fault(
        "clock", "warn", "The vendors' clocks say another time than ours.",
        "set the clock, for example: timedatectl set-ntp true", wakes=True,
    ),
    "daemon-absent": Fault(
        "daemon", "warn", "No daemon runs: nothing is renewed or relayed.", "vaultd serve",
    ),
    "service-unreached": Fault(
        "daemon", "fail", "This machine runs vaultd as a service, which is stopped, or not for this person to use.",
        "run the command that it names",
    ),
    "daemon-silent": Fault(
        "daemon", "fail", "A daemon holds the admin socket and does not answer.", "look at its log, and restart it",
    ),
    "keeper-failing": Fault(
        "daemon", "fail", "The process that renews, and outlives a killed daemon, cannot be started or is silent.",
        "restart vaultd", wakes=True,
    ),
    "file-events-absent": Fault(
        "file-events", "warn", "The system tells of no changed files; the folders are looked at every few seconds.",
        "raise fs.inotify.max_user_watches, or move the folder to a local disk",
    ),
    "process-open": Fault(
        "process", "fail", "The process can be dumped, or read by others of the same user.",
        "start vaultd by its own command",
    ),
    "log-unwritable": Fault(
        "log", "warn", "logging-to-file is on and the file cannot be written; the log goes to stderr.",
        "make {subject} writable, or set logging-to-file: false",
    ),
    "audit-unwritable": Fault(
        "audit", "fail", "The audit log cannot be written, so nothing can be changed. Relaying and renewing go on.",
        "make {subject} writable, and free some space there", wakes=True,
    ),
    "audit-broken": Fault(
        "audit", "fail", "The audit log is not as it was left: lines were altered, removed or put back.",
        "vaultd audit verify, and once you know why: vaultd audit accept", wakes=True,
    ),
    "usage-unwritable": Fault(
        "usage", "warn", "What is used cannot be written down. It waits in memory, up to a bound; requests go on.",
        "make {subject} writable, and free some space there",
    ),
    "usage-broken": Fault(
        "usage", "warn", "The database of usage was broken. It was set aside, and counting began anew.",
        "import what can be saved of it, and restart vaultd",
    ),
    "prices-unusable": Fault(
        "usage", "warn", "usage.prices-file cannot be read or accepted; the last good prices are in use.",
        "edit the file it names",
    ),
    "webhook-failing": Fault(
        "alerts", "warn", "The receiver of alerts does not take them; they are sent again with growing pauses.",
        "edit alerts.webhook-url, or mend its receiver",
    ),
    "no-client-key": Fault(
        "client-keys", "warn", "No client key can be used: nobody can ask anything.", "vaultd keys create default",
    ),
    "client-key-damaged": Fault(
        "client-keys", "fail", "A client key's file is damaged or not to be used.",
        "restore {subject} from a backup, or remove it",
    ),
    "client-key-weak": Fault(
        "client-keys", "warn", "A client key in the configuration can be guessed (under 128 bit).",
        "vaultd keys create, and remove {subject}",
    ),
    "client-key-public": Fault(
        "client-keys", "fail", "A client key in the configuration is an example's placeholder, known to everybody.",
        "remove it from api-keys",
    ),
    "exposed-without-tls": Fault(
        "exposure", "warn", "vaultd listens on a network without TLS: client keys cross it in clear.",
        "set tls.cert and tls.key, or host: 127.0.0.1 behind a proxy with TLS",
    ),
    "port-taken": Fault(
        "exposure", "fail", "Another program holds the port that vaultd is to listen on.",
        "stop what holds it, or set port",
    ),
    "host-unusable": Fault(
        "exposure", "fail", "The address to listen on is none of this machine.", "edit host",
    ),
    "certificate-unreadable": Fault(
        "certificate", "fail", "tls.cert and tls.key cannot be read, or are no matching pair.",
        "edit tls.cert and tls.key", wakes=True,
    ),
    "certificate-expiring": Fault(
        "certificate", "warn", "The certificate in tls.cert ends within two weeks.",
        "renew {subject}, then: kill -HUP the daemon", wakes=True,
    ),
    "certificate-expired": Fault(
        "certificate", "fail", "The certificate in tls.cert has ended, or has not begun.",
        "renew {subject}, then: kill -HUP the daemon", wakes=True,
    ),
    "callback-port-taken": Fault(
        "callback-ports", "warn", "Another program holds the port that a vendor's sign-in calls back on.",
        "vaultd login --{subject} --no-browser, and paste",
    ),
    "sunset": Fault(
        "sunset", "warn", "A vendor closes, or has closed, the way in that a credential uses.",
        "vaultd providers show {subject}", wakes=True,
    ),
}  # fmt: skip

#: Code → what it stands for, in the order in which `doctor` tells them.
FAULTS: Final[dict[str, Fault]] = _CONFIG | _KEYS | _FOLDER | _LOGINS | _POOL | _MACHINE

#: Check → what is said of it where nothing is wrong, in the order in which `doctor` tells them.
CHECKS: Final[dict[str, str]] = {
    "config": "the configuration and every manifest are in use as they are written",
    "warnings": "nothing to warn of in configuration and manifests",
    "daemon": "a daemon runs, and renews and relays",
    "file-events": "nothing is said against file events",
    "root-key": "the root key opens the keyring, and only this user can read it",
    "recovery-key": "a recovery key can open every sealed file",
    "folder": "the folders are for this user alone and can be written",
    "sealed-files": "all sealed files open",
    "disk-space": "there is room where the credentials lie",
    "file-system": "the credentials lie on a local file system",
    "clock": "the clock is plausible, and the vendors' say the same",
    "process": "no core dump, no reading of this process's memory by others",
    "log": "the log can be written",
    "audit": "the audit log can be written, and ends where it was left",
    "usage": "what is used is written down",
    "credentials": "no credential needs anything",
    "renewal": "no login holds an expired token, no renewal fails",
    "vendors": "no token endpoint is known to fail",
    "proxy": "every configured proxy answers",
    "client-keys": "every client key can be used and none can be guessed",
    "exposure": "nothing crosses a network in clear",
    "certificate": "no certificate is about to end",
    "callback-ports": "the callback ports of every sign-in are free",
    "sunset": "no vendor in use closes its door soon",
    "alerts": "no alert waits for its receiver",
}

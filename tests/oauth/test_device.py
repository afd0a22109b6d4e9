"""Signing in by device code: RFC 8628 with its manners, and Codex's own dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transcripts import VERIFIER, answered, form, play, shipped, stamp, tokens

from vaultd.catalog.manifest import Provider
from vaultd.effects import Effect, Flow, Now, Reply, Send, Show, Wait
from vaultd.errors import ProtocolError, SignInRequired, TryLater, UpstreamRefused
from vaultd.oauth import codex_device, device
from vaultd.oauth.tokens import Grant

CODE = "CANARY-device-code"
PENDING = answered({"error": "authorization_pending"}, 400)
SLOW = answered({"error": "slow_down"}, 400)
DONE = answered(tokens())


def device_answer(**more: Any) -> Reply:
    body = {
        "device_code": CODE,
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://chat.qwen.ai/device",
        "expires_in": 900,
        "interval": 5,
        **more,
    }
    return answered({name: value for name, value in body.items() if value is not None})


class Patient:
    """Plays the world of a device login: its own clock, the poll answers in order, the pauses noted."""

    def __init__(self, *polls: Reply | Exception, start: Reply | None = None) -> None:
        self.start = start or device_answer()
        self.polls = list(polls)
        self.pauses: list[float] = []
        self.shown: list[Show] = []
        self.sent: list[Send] = []
        self.time = 100.0

    def run(self, flow: Flow[Grant]) -> Grant:
        effect = next(flow)
        try:
            while True:
                answer = self._perform(effect)
                effect = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as done:
            grant: Grant = done.value
            return grant

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Now():
                return self.time
            case Wait():
                self.time += effect.seconds
                self.pauses.append(effect.seconds)
            case Show():
                self.shown.append(effect)
            case Send():
                self.sent.append(effect)
                if len(self.sent) == 1:
                    return self.start
                return self.polls.pop(0) if self.polls else PENDING
        return None


def qwen(patient: Patient, provider: Provider | None = None) -> Grant:
    return patient.run(device.sign_in(provider or shipped("qwen"), verifier=VERIFIER, stamp=stamp))


def test_qwen_signs_in_with_pkce_and_its_resource_url_is_kept() -> None:
    patient = Patient(PENDING, answered(tokens(resource_url="portal.qwen.ai")))

    grant = qwen(patient)

    begun, polled = form(patient.sent[0]), form(patient.sent[1])
    assert begun["code_challenge_method"] == "S256"
    assert begun["scope"] == "openid profile email model.completion"
    assert polled["code_verifier"] == VERIFIER
    assert polled["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"
    assert grant.account is not None and grant.account.facts["resource_url"] == "portal.qwen.ai"


def test_kimi_is_pending_with_status_200_and_the_body_decides() -> None:
    patient = Patient(answered({"error": "authorization_pending"}), answered({"error": "slow_down"}), DONE)
    patient.start = device_answer(verification_uri="https://www.kimi.com/code")

    patient.run(device.sign_in(shipped("kimi"), verifier=VERIFIER, stamp=stamp))

    assert "code_challenge" not in form(patient.sent[0])
    assert patient.pauses == [5, 5, 10]


@pytest.mark.parametrize(("interval", "pause"), [(None, 5), (5, 5), ("7", 7), (0, 5), (-3, 5), ("soon", 5), (True, 5)])
def test_sec_35_polls_come_no_faster_than_the_interval(interval: Any, pause: float) -> None:
    patient = Patient(PENDING, PENDING, DONE, start=device_answer(interval=interval))

    qwen(patient)

    assert patient.pauses == [pause, pause, pause]


def test_sec_36_slow_down_adds_five_seconds_for_good() -> None:
    patient = Patient(SLOW, SLOW, SLOW, PENDING, DONE)

    qwen(patient)

    assert patient.pauses == [5, 10, 15, 20, 20]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", SignInRequired),
        ("expired_token", SignInRequired),
        ("invalid_grant", SignInRequired),
        ("unauthorized_client", UpstreamRefused),
        ("made_up", UpstreamRefused),
    ],
)
def test_sec_37_any_other_answer_ends_it_and_says_why(error: str, expected: type[Exception]) -> None:
    patient = Patient(PENDING, answered({"error": error}, 400))

    with pytest.raises(expected, match=error):
        qwen(patient)
    assert len(patient.sent) == 3


def test_sec_38_a_silent_server_is_left_when_the_code_has_expired() -> None:
    patient = Patient(start=device_answer(expires_in=60))

    with pytest.raises(SignInRequired, match="expired"):
        qwen(patient)

    assert sum(patient.pauses) == 60
    assert len(patient.sent) == 1 + 11


def test_sec_39_a_dead_network_is_asked_less_and_less() -> None:
    dead = TryLater("chat.qwen.ai cannot be reached")
    patient = Patient(dead, dead, dead, dead, dead, answered(b"<html>", 502), PENDING, DONE)

    qwen(patient)

    assert patient.pauses == [5, 10, 20, 40, 60, 60, 60, 5]


def test_sec_39_retry_after_is_honoured() -> None:
    patient = Patient(answered(b"", 503, retry_after="90"), DONE)

    qwen(patient)

    assert patient.pauses == [5, 90]


def test_sec_40_the_complete_address_is_shown_with_the_code() -> None:
    complete = "https://chat.qwen.ai/device?user_code=ABCD-EFGH"
    patient = Patient(DONE, start=device_answer(verification_uri_complete=complete))

    qwen(patient)

    assert patient.shown == [Show(complete, "ABCD-EFGH", 900)]


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://evil.example/device",
        "http://127.0.0.1:1/device",
        "https://user:pass@evil.example/",
        "https:///nowhere",
        "https://evil.example/\x1b[2J",
        "https://evil.example/ && rm -rf ~",
        "https://evil.example/" + "x" * 3000,
        "",
        7,
        None,
    ],
)
def test_sec_40_a_hostile_address_is_not_shown(uri: Any) -> None:
    patient = Patient(start=device_answer(verification_uri=uri))

    with pytest.raises(ProtocolError, match="verification address"):
        qwen(patient)
    assert not patient.shown


@pytest.mark.parametrize("code", ["AB\x1b[31mCD", "A" * 65, "", 12345678, None, "AB\nCD"])
def test_sec_40_a_hostile_user_code_is_not_shown(code: Any) -> None:
    patient = Patient(start=device_answer(user_code=code))

    with pytest.raises(ProtocolError, match="user_code"):
        qwen(patient)


def test_sec_40_http_is_for_a_device_endpoint_on_loopback_alone() -> None:
    local = shipped("qwen", endpoints={"device": "http://127.0.0.1:9/device", "token": "http://127.0.0.1:9/token"})
    patient = Patient(DONE, start=device_answer(verification_uri="http://127.0.0.1:9/page"))

    assert qwen(patient, local)


def test_sec_41_the_device_code_is_shown_to_nobody() -> None:
    patient = Patient(PENDING, answered({"error": "made_up", "error_description": "no"}, 400))

    with pytest.raises(UpstreamRefused) as raised:
        qwen(patient)

    assert CODE not in f"{patient.shown} {patient.sent} {raised.value!r} {raised.value}"
    assert CODE not in repr(device.DeviceCode(CODE, "A", "https://a.example", 1, 1))


def test_xai_finds_its_endpoints_and_its_email() -> None:
    found = {
        "issuer": "https://auth.x.ai",
        "device_authorization_endpoint": "https://auth.x.ai/device",
        "token_endpoint": "https://auth.x.ai/token",
    }

    def discovery(send: Send) -> Reply:
        assert (send.method, send.url) == ("GET", "https://auth.x.ai/.well-known/openid-configuration")
        return answered(found)

    def begun(send: Send) -> Reply:
        assert send.url == "https://auth.x.ai/device"
        return device_answer(verification_uri="https://accounts.x.ai/device")

    play(
        device.sign_in(shipped("xai"), verifier=VERIFIER, stamp=stamp),
        (Send, discovery),
        (Send, begun),
        (Now, 0.0),
        (Show, None),
        (Now, 0.0),
        (Wait, None),
        (Send, DONE),
    )


# Codex


USERCODE = {"device_auth_id": "CANARY-auth-id", "user_code": "WXYZ-1234", "interval": "5"}
GIVEN = {"authorization_code": "CANARY-code", "code_verifier": "CANARY-verifier", "code_challenge": "x"}


def test_codex_hands_out_a_code_for_the_ordinary_token_endpoint() -> None:
    still = answered({"error": {"code": "deviceauth_authorization_unknown"}}, 403)
    patient = Patient(still, answered(b"", 404), answered(GIVEN), DONE, start=answered(USERCODE))

    patient.run(codex_device.sign_in(shipped("codex"), stamp=stamp))

    assert patient.shown == [Show("https://auth.openai.com/codex/device", "WXYZ-1234", 900)]
    assert patient.pauses == [5, 5, 5]
    assert json.loads(patient.sent[1].body) == {"device_auth_id": "CANARY-auth-id", "user_code": "WXYZ-1234"}
    exchange = form(patient.sent[-1])
    assert patient.sent[-1].url == "https://auth.openai.com/oauth/token"
    assert exchange["code_verifier"] == "CANARY-verifier"
    assert exchange["redirect_uri"] == "https://auth.openai.com/deviceauth/callback"


def test_codex_may_call_it_usercode_and_count_in_numbers() -> None:
    start = answered({"device_auth_id": "CANARY", "usercode": "WXYZ", "interval": 2})
    patient = Patient(answered(GIVEN), DONE, start=start)

    patient.run(codex_device.sign_in(shipped("codex"), stamp=stamp))

    assert (patient.shown[0].user_code, patient.pauses) == ("WXYZ", [2])


def test_codex_without_device_login_says_what_to_do() -> None:
    patient = Patient(start=answered(b"", 404))

    with pytest.raises(UpstreamRefused, match="without --device"):
        patient.run(codex_device.sign_in(shipped("codex"), stamp=stamp))


def test_sec_38_codex_ends_after_fifteen_minutes() -> None:
    forever = [answered(b"", 403)] * 200
    patient = Patient(*forever, start=answered(USERCODE))

    with pytest.raises(SignInRequired, match="expired"):
        patient.run(codex_device.sign_in(shipped("codex"), stamp=stamp))

    assert sum(patient.pauses) == 900

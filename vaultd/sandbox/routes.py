"""The whole route table: vendor → what it answers, below its prefix."""

from __future__ import annotations

from vaultd.sandbox import accounts, codex_device, device, google
from vaultd.sandbox.authorize import authorize, paste_page
from vaultd.sandbox.call import Route
from vaultd.sandbox.exchange import revoke, token
from vaultd.sandbox.llm import anthropic, chat, gemini, models, responses

_ASK = "/models/{model}:{method:generateContent|streamGenerateContent}"
_COUNT = "/models/{model}:{method:countTokens}"
_SERVICE = "/services/v1/projects/{project}/services/{service}"

ROUTES: dict[str, list[Route]] = {
    "codex": [
        Route("GET", "/oauth/authorize", "authorize", authorize),
        Route("POST", "/oauth/authorize", "authorize", authorize),
        Route("POST", "/oauth/token", "token", token),
        Route("POST", "/oauth/revoke", "revoke", revoke),
        Route("POST", "/api/accounts/deviceauth/usercode", "device", codex_device.usercode),
        Route("POST", "/api/accounts/deviceauth/token", "device-token", codex_device.poll),
        Route("GET", "/codex/device", "device-page", device.page),
        Route("POST", "/codex/device", "device-page", device.page),
        Route("POST", "/backend-api/codex/responses", "llm", responses.backend),
        Route("POST", "/v1/responses", "llm", responses.public),
        Route("GET", "/v1/models", "models", models.openai),
    ],
    "claude": [
        Route("GET", "/oauth/authorize", "authorize", authorize),
        Route("POST", "/oauth/authorize", "authorize", authorize),
        Route("GET", "/oauth/code/callback", "authorize", paste_page),
        Route("POST", "/v1/oauth/token", "token", token),
        Route("POST", "/v1/messages", "llm", anthropic.messages),
        Route("POST", "/v1/messages/count_tokens", "count", anthropic.count_tokens),
        Route("GET", "/v1/models", "models", models.anthropic),
    ],
    "gemini": [
        Route("GET", "/o/oauth2/auth", "authorize", authorize),
        Route("POST", "/o/oauth2/auth", "authorize", authorize),
        Route("POST", "/token", "token", token),
        Route("POST", "/revoke", "revoke", revoke),
        Route("GET", "/oauth2/v1/userinfo", "userinfo", google.userinfo),
        Route("GET", "/v1/projects", "projects", google.projects),
        Route("GET", _SERVICE, "services", google.service),
        Route("POST", _SERVICE, "services", google.service),
        Route("POST", "/v1internal:loadCodeAssist", "code-assist", google.load_code_assist),
        Route("POST", "/v1internal:onboardUser", "code-assist", google.onboard_user),
        Route("POST", "/v1internal:{method:generateContent|streamGenerateContent}", "llm", gemini.code_assist),
        Route("POST", "/v1internal:{method:countTokens}", "count", gemini.code_assist),
        Route("POST", "/v1internal:{method}", "code-assist", google.unknown_method),
        Route("POST", "/v1beta" + _ASK, "llm", gemini.by_key),
        Route("POST", "/v1beta" + _COUNT, "count", gemini.by_key),
        Route("GET", "/v1beta/models", "models", models.gemini),
        Route("POST", "/v1" + _ASK, "llm", gemini.by_key),
        Route("POST", "/v1" + _COUNT, "count", gemini.by_key),
        Route("GET", "/v1/models", "models", models.gemini),
    ],
    "qwen": [
        Route("POST", "/api/v1/oauth2/device/code", "device", device.start),
        Route("GET", "/device", "device-page", device.page),
        Route("POST", "/device", "device-page", device.page),
        Route("POST", "/api/v1/oauth2/token", "token", token),
        Route("POST", "/v1/chat/completions", "llm", chat.completions),
    ],
    "iflow": [
        Route("GET", "/oauth", "authorize", authorize),
        Route("POST", "/oauth", "authorize", authorize),
        Route("POST", "/oauth/token", "token", token),
        Route("GET", "/api/oauth/getUserInfo", "userinfo", accounts.iflow_user),
        Route("POST", "/v1/chat/completions", "llm", chat.completions),
    ],
    "kimi": [
        Route("POST", "/api/oauth/device_authorization", "device", device.start),
        Route("GET", "/device", "device-page", device.page),
        Route("POST", "/device", "device-page", device.page),
        Route("POST", "/api/oauth/token", "token", token),
        Route("POST", "/coding/v1/chat/completions", "llm", chat.completions),
        Route("GET", "/coding/v1/models", "models", models.openai),
    ],
    "xai": [
        Route("GET", "/.well-known/openid-configuration", "discovery", device.discovery),
        Route("POST", "/oauth2/device/code", "device", device.start),
        Route("GET", "/device", "device-page", device.page),
        Route("POST", "/device", "device-page", device.page),
        Route("POST", "/oauth2/token", "token", token),
        Route("POST", "/oauth2/revoke", "revoke", revoke),
        Route("POST", "/v1/chat/completions", "llm", chat.completions),
        Route("POST", "/v1/responses", "llm", responses.public),
        Route("GET", "/v1/models", "models", models.openai),
    ],
    "invented": [
        Route("GET", "/authorize", "authorize", authorize),
        Route("POST", "/authorize", "authorize", authorize),
        Route("POST", "/token", "token", token),
        Route("POST", "/revoke", "revoke", revoke),
        Route("GET", "/userinfo", "userinfo", accounts.userinfo),
        Route("POST", "/v1/chat/completions", "llm", chat.completions),
        Route("GET", "/v1/models", "models", models.openai),
    ],
}

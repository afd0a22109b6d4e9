"""The vendors' own Python SDKs, streamed and whole, through the daemon to accounts that were signed in for real."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from google import genai
from ports import own_callbacks
from shell import Daemon, Person
from vendors import vendors

from vaultd.sandbox import Sandbox


def sign_in(person: Person, provider: str) -> None:
    """As on a server: the printed URL is opened elsewhere."""
    login = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "login", f"--{provider}", "--no-browser"],
        env=person.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert login.stdout is not None
    urllib.request.urlopen(login.stdout.readline().strip(), timeout=10).close()
    out, _ = login.communicate(timeout=30)
    assert login.returncode == 0, out


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with vendors() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A daemon with Codex, Claude and Gemini logins and one compatible endpoint: its address and a client key."""
    home = tmp_path_factory.mktemp("sdks")
    env = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("r")),
        "PATH": "/usr/bin:/bin",
    }
    person = Person(env)
    config = {
        "providers": own_callbacks(sandbox),
        "openai-compatibility": [
            {
                "name": "invented",
                "base-url": sandbox.key_bases()["openai"],
                "api-key-entries": [{"api-key": "key-CANARY-invented"}],
                "models": [{"name": "invented-1"}],
            }
        ],
    }
    person.configures(json.dumps(config))
    with (tmp_path_factory.getbasetemp() / "planted.txt").open("a") as notes:
        notes.write(f"{Path(person.config)}\n")
    for provider in ("codex", "claude", "gemini"):
        sign_in(person, provider)
    daemon = Daemon(person)
    try:
        yield daemon.address, person.types("keys", "get", "default").out.strip()
    finally:
        daemon.ends()


def test_openai_responses(served: tuple[str, str]) -> None:
    base, key = served
    with openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0) as client:
        with client.responses.stream(model="gpt-5", input="say heron", instructions="be brief") as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        whole = client.responses.create(model="gpt-5", input="say heron", store=False)
    assert "heron" in text
    assert final.status == "completed"
    assert final.usage is not None
    assert final.usage.total_tokens > 0
    assert "heron" in whole.output_text


def test_openai_chat(served: tuple[str, str]) -> None:
    base, key = served
    question = [{"role": "user", "content": "say heron"}]
    with openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0) as client:
        stream = client.chat.completions.create(model="invented-1", messages=question, stream=True)
        chunks = list(stream)
        whole = client.chat.completions.create(model="invented-1", messages=question)
        models = {model.id for model in client.models.list()}
    assert "heron" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert all(c.choices for c in chunks), "a usage chunk reached a client that did not ask for one"
    assert "heron" in (whole.choices[0].message.content or "")
    assert {"gpt-5", "invented-1"} <= models


def test_anthropic_messages(served: tuple[str, str]) -> None:
    base, key = served
    asked = {
        "model": "claude-opus-4-8",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "say heron"}],
    }
    with anthropic.Anthropic(base_url=base, api_key=key, max_retries=0) as client:
        with client.messages.stream(**asked) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        whole = client.messages.create(**asked)
        counted = client.messages.count_tokens(model=asked["model"], messages=asked["messages"])
        models = {model.id for model in client.models.list()}
    assert "heron" in text
    assert final.stop_reason == "end_turn"
    assert any(block.type == "text" and "heron" in block.text for block in whole.content)
    assert counted.input_tokens > 0
    assert "claude-sonnet-4-5-20250929" in models


def test_google_genai(served: tuple[str, str]) -> None:
    base, key = served
    client = genai.Client(api_key=key, http_options={"base_url": base})
    try:
        streamed = client.models.generate_content_stream(model="gemini-2.5-flash", contents="say heron")
        text = "".join(chunk.text or "" for chunk in streamed)
        whole = client.models.generate_content(model="gemini-2.5-flash", contents="say heron")
        names = {model.name for model in client.models.list()}
    finally:
        client.close()
    assert "heron" in text
    assert "heron" in (whole.text or "")
    assert whole.usage_metadata is not None
    assert "models/gemini-2.5-flash" in names

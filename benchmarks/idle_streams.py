"""What open streams weigh that nothing happens on: resident memory of a daemon before and after, per arrangement.

A vendor on loopback begins each answer and falls silent; the client listens. Nothing is asserted here.

    python benchmarks/idle_streams.py [STREAMS, 1000]
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

KEY = "sk-bench-0123456789abcdef"
HOST = "127.0.0.1"
#: What all of them may add, in MB.
MOST = 60
#: First output of each vendor's format.
BEGUN: dict[str, list[dict[str, Any]]] = {
    "chat": [{"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}],
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
         "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    ],
    "codex": [
        {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
         "delta": "Hi"},
    ],
    "gemini": [{"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hi"}]}}]}],
}  # fmt: skip
#: A kilobyte, or as many as `KB` says.
ASKED = "What is the weather in Oslo today?" * 30 * int(os.environ.get("KB", "1"))
#: Client → path and body, the model left open.
CLIENTS = {
    "chat": ("/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": ASKED}]}),
    "anthropic": (
        "/v1/messages",
        {"stream": True, "max_tokens": 99, "messages": [{"role": "user", "content": ASKED}]},
    ),
    "codex": ("/v1/responses", {"stream": True, "input": [{"role": "user", "content": ASKED}]}),
    "gemini": (
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": ASKED}]}]},
    ),
}
ARRANGEMENTS = [
    *((name, name) for name in CLIENTS),
    ("anthropic", "chat"),
    ("anthropic", "codex"),
    ("chat", "anthropic"),
    ("chat", "gemini"),
    ("codex", "chat"),
]
CONFIG = """
port: {port}
api-keys: [{key}]
auth-dir: {folder}/auth
vault: {{key-file: {folder}/root.key}}
claude-api-key: [{{api-key: k, base-url: "{vendor}/anthropic", models: [{{name: m, alias: m-anthropic}}]}}]
codex-api-key: [{{api-key: k, base-url: "{vendor}/codex", models: [{{name: m, alias: m-codex}}]}}]
gemini-api-key: [{{api-key: k, base-url: "{vendor}/gemini", models: [{{name: m, alias: m-gemini}}]}}]
openai-compatibility:
  - {{name: acme, base-url: "{vendor}/chat", api-key-entries: [{{api-key: k}}], models: [{{name: m, alias: m-chat}}]}}
"""


async def vendor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins an answer in the format its path names, and says no more until the other side closes."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    events = BEGUN[head.split(b"/")[1].decode()]
    named = [f"event: {event['type']}\n" if "type" in event else "" for event in events]
    begun = "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(named, events, strict=True)).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"%x\r\n%s\r\n" % (len(begun), begun))
    await reader.read()
    writer.close()


async def open_stream(port: int, client: str, model: str) -> asyncio.StreamWriter:
    """A stream of which the first output has come."""
    path, body = CLIENTS[client]
    data = json.dumps(body | ({} if client == "gemini" else {"model": model})).encode()
    reader, writer = await asyncio.open_connection(HOST, port, limit=4096)
    head = f"POST {path.format(model=model)} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = b""
    while b"Hi" not in answer:
        piece = await reader.read(4096)
        answer += piece
        if not piece or (b"\r\n" in answer and b" 200 " not in answer.partition(b"\r\n")[0]):
            raise ConnectionError(answer.decode(errors="replace")[-300:])
    return writer


async def many(port: int, client: str, model: str, count: int) -> list[asyncio.StreamWriter]:
    writers: list[asyncio.StreamWriter] = []
    for _ in range(0, count, 20):
        writers += await asyncio.gather(*(open_stream(port, client, model) for _ in range(20)))
    return writers


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def resident(pid: int) -> float:
    """In MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


async def daemon(folder: str, port: int) -> asyncio.subprocess.Process:
    home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"), folder)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vaultd", "--config", f"{folder}/config.yaml", "serve"),
        env=os.environ | home,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return process
    raise TimeoutError("the daemon did not start")


async def measured(client: str, wanted: str, count: int) -> str:
    """One row, of a daemon of its own."""
    server = await asyncio.start_server(vendor, HOST, 0, backlog=1024)
    address = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="vaultd-idle-") as folder:
        write(f"{folder}/config.yaml", CONFIG.format(port=port, key=KEY, folder=folder, vendor=address))
        process = await daemon(folder, port)
        try:
            for writer in await many(port, client, f"m-{wanted}", 20):  # what every first request brings along
                writer.close()
            await asyncio.sleep(0.5)
            before = resident(process.pid)
            writers = await many(port, client, f"m-{wanted}", count)
            await asyncio.sleep(1)
            after = resident(process.pid)
            for writer in writers:
                writer.close()
        except ConnectionError as error:
            return f"| {client} | {wanted} | {str(error).splitlines()[-1][:80]} | | | |"
        finally:
            process.terminate()
            await process.wait()
            server.close()
    added = after - before
    return f"| {client} | {wanted} | {before:.0f} | {after:.0f} | {added:.1f} | {1024 * added / count:.1f} |"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{count} idle streams, at most {MOST} MB for 1000\n")
    print("| client | vendor | MB before | MB after | added | kB each |\n|---|---|---|---|---|---|")
    for client, wanted in ARRANGEMENTS:
        print(asyncio.run(measured(client, wanted, count)), flush=True)


if __name__ == "__main__":
    main()

"""What relaying one request costs, in CPU time, beside a bare aiohttp proxy in the same run. Prints a table.

The scenarios, the fake vendor and the bare proxy (`minproxy`) come from a folder of benches, `$VAULTD_SHARED/bench`.
A translated answer (`client<-vendor`) is held against the bare proxy passing on the vendor's own, untranslated. Ratios
within one run hold when the machine is noisy; single times do not. Nothing is asserted here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SHARED = Path(os.environ.get("VAULTD_SHARED", Path(__file__).parents[2] / "shared"))


class Limit(NamedTuple):
    #: What the ratio to `minproxy` may be at most.
    most: float
    #: The scenario that `minproxy` runs: the vendor's own format.
    floor: str


SCENARIOS = {
    "chat_small": Limit(1.8, "chat_small"),
    "chat_small_stream": Limit(1.5, "chat_small_stream"),
    "chat_big_stream": Limit(1.6, "chat_big_stream"),
    "messages_small_stream": Limit(1.5, "messages_small_stream"),
    "messages_big_stream": Limit(1.6, "messages_big_stream"),
    "responses_small_stream": Limit(1.5, "responses_small_stream"),
    "responses_big_stream": Limit(1.6, "responses_big_stream"),
    "gemini_small_stream": Limit(1.5, "gemini_small_stream"),
    "messages<-chat_unary": Limit(2, "chat_small"),
    "messages<-chat_stream": Limit(4, "chat_small_stream"),
    "chat<-messages_stream": Limit(4, "messages_small_stream"),
    "messages<-responses_stream": Limit(4, "responses_small_stream"),
    "chat<-gemini_stream": Limit(4, "gemini_small_stream"),
    "responses<-chat_stream": Limit(5, "chat_small_stream"),
    "messages<-chat_big": Limit(4, "chat_big_stream"),
    "messages<-responses_big": Limit(4, "responses_big_stream"),
    "drip_chat_stream": Limit(1.3, "drip_chat_stream"),
    "drip_messages<-chat": Limit(2, "drip_chat_stream"),
}
#: A translated turn of 170 kB and the same of 1 kB: they differ by a millisecond at most.
GROWTH = {
    "messages<-chat_big": "messages<-chat_stream",
    "messages<-responses_big": "messages<-responses_stream",
}
LINE = re.compile(r"^(\S+)\s+cpu/req\s+(\d+) us .*p99\s+([\d.]+) ms\s+rss\s+(\d+) MB\s+bad (\d+)", re.MULTILINE)
MODELS = ("chat", "anthropic", "codex", "gemini")


def main() -> None:
    bench = SHARED / "bench"
    if not bench.is_dir():
        sys.exit(f"{bench} is not there: set VAULTD_SHARED to the folder that holds `bench`")
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    only = sys.argv[1:] or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="vaultd-bench-") as name:
        folder = Path(name)
        for file in bench.iterdir():
            shutil.copy(file, folder)
        for model in MODELS:
            subprocess.run(
                [sys.executable, "bodies.py", f"bodies-{model}"],
                cwd=folder,
                env=env(folder, MODEL=f"m-{model}"),
                check=True,
            )
        print("| scenario | minproxy µs | vaultd µs | ratio | at most | p99 ms | MB |\n|---|---|---|---|---|---|---|")
        cost: dict[str, float] = {}
        for scenario in only:
            print(row(folder, scenario, cost), flush=True)
    for big, small in GROWTH.items():
        if big in cost and small in cost:
            print(f"{big} costs {cost[big] - cost[small]:.0f} µs more than {small} (at most 1000)")


def peers(scenario: str, floor: str) -> list[dict[str, object]]:
    """`minproxy` runs the floor and vaultd the scenario, which may be the same one."""
    python = sys.executable
    translated = [scenario] if scenario != floor else []
    untranslated = [floor] if scenario != floor else []
    return [
        {
            "name": "minproxy",
            "base": "http://127.0.0.1:9102",
            "cmd": f"exec {python} minproxy.py 9102 http://127.0.0.1:9100",
            "skip": translated,
        },
        {
            "name": "vaultd",
            "base": "http://127.0.0.1:8317",
            "cmd": f"exec {python} -m vaultd serve --config bench.yaml",
            "health": "/healthz",
            "skip": untranslated,
        },
    ]


def row(folder: Path, scenario: str, cost: dict[str, float]) -> str:
    """One scenario, run and told, its CPU put into `cost`. A dripped stream is told per event."""
    drip = scenario.startswith("drip_")
    most, floor_name = SCENARIOS[scenario]
    known = json.loads((folder / ("scen-drip.json" if drip else "scen.json")).read_text())
    (folder / "one.json").write_text(json.dumps([each for each in known if each["name"] in {scenario, floor_name}]))
    (folder / "peers.json").write_text(json.dumps(peers(scenario, floor_name)))
    pace = {"GAP": "0.01", "CONC": "64", "SECS": "8"} if drip else {}
    command = [sys.executable, "run.py", "peers.json", "one.json"]
    told = subprocess.run(
        command, cwd=folder, env=env(folder, **pace), check=True, capture_output=True, text=True
    ).stdout
    found = {peer: (int(cpu), p99, mb, bad) for peer, cpu, p99, mb, bad in LINE.findall(told)}
    if set(found) != {"minproxy", "vaultd"} or any(bad != "0" for *_, bad in found.values()):
        return f"| {scenario} | not whole: {' '.join(told.split())} |"
    events = 204 if drip else 1  # 200 of text; role, end, usage and [DONE]
    floor, ours = found["minproxy"][0] / events, found["vaultd"][0] / events
    cost[scenario] = ours
    _, p99, mb, _ = found["vaultd"]
    shown = "per event, " if drip else ""
    return f"| {shown}{scenario} | {floor:.0f} | {ours:.0f} | {ours / floor:.2f} | {most} | {p99} | {mb} |"


def env(folder: Path, **more: str) -> dict[str, str]:
    """The caller's environment, with a home of its own for the daemon."""
    own = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VAULTD_"))}
    return kept | own | more


if __name__ == "__main__":
    main()

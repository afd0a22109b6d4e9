"""What relaying one request costs, in CPU time, beside a bare aiohttp proxy in the same run. Prints a table.

The scenarios, the fake vendor and the bare proxy (`minproxy`) come from a folder of benches, `$VAULTD_SHARED/bench`.
Ratios within one run hold when the machine is noisy; single times do not. Nothing is asserted here.
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

SHARED = Path(os.environ.get("VAULTD_SHARED", Path(__file__).parents[2] / "shared"))
#: Same format in and out, and the most that the ratio to `minproxy` may be.
SCENARIOS = {
    "chat_small": 1.8,
    "chat_small_stream": 1.5,
    "chat_big_stream": 1.6,
    "messages_small_stream": 1.5,
    "messages_big_stream": 1.6,
    "responses_small_stream": 1.5,
    "responses_big_stream": 1.6,
    "gemini_small_stream": 1.5,
    "drip_chat_stream": 1.3,
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
        (folder / "peers.json").write_text(json.dumps(peers()))
        print("| scenario | minproxy µs | vaultd µs | ratio | at most | p99 ms | MB |\n|---|---|---|---|---|---|---|")
        for scenario in only:
            print(row(folder, scenario), flush=True)


def peers() -> list[dict[str, str]]:
    python = sys.executable
    return [
        {
            "name": "minproxy",
            "base": "http://127.0.0.1:9102",
            "cmd": f"exec {python} minproxy.py 9102 http://127.0.0.1:9100",
        },
        {
            "name": "vaultd",
            "base": "http://127.0.0.1:8317",
            "cmd": f"exec {python} -m vaultd serve --config bench.yaml",
            "health": "/healthz",
        },
    ]


def row(folder: Path, scenario: str) -> str:
    """One scenario, run and told. A dripped stream is told per event."""
    drip = scenario.startswith("drip_")
    known = json.loads((folder / ("scen-drip.json" if drip else "scen.json")).read_text())
    (folder / "one.json").write_text(json.dumps([each for each in known if each["name"] == scenario]))
    pace = {"GAP": "0.01", "CONC": "64", "SECS": "8"} if drip else {}
    command = [sys.executable, "run.py", "peers.json", "one.json"]
    told = subprocess.run(
        command, cwd=folder, env=env(folder, **pace), check=True, capture_output=True, text=True
    ).stdout
    found = {peer: (int(cpu), p99, mb, bad) for peer, cpu, p99, mb, bad in LINE.findall(told)}
    if set(found) != {"minproxy", "vaultd"} or any(bad != "0" for *_, bad in found.values()):
        return f"| {scenario} | not whole: {told.strip()} |"
    events = 204 if drip else 1  # 200 of text; role, end, usage and [DONE]
    floor, ours = found["minproxy"][0] / events, found["vaultd"][0] / events
    _, p99, mb, _ = found["vaultd"]
    shown = "per event, " if drip else ""
    return (
        f"| {shown}{scenario} | {floor:.0f} | {ours:.0f} | {ours / floor:.2f} | {SCENARIOS[scenario]} | {p99} | {mb} |"
    )


def env(folder: Path, **more: str) -> dict[str, str]:
    """The caller's environment, with a home of its own for the daemon."""
    own = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VAULTD_"))}
    return kept | own | more


if __name__ == "__main__":
    main()

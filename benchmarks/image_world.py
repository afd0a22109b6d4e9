"""What `image.py` puts beside the container: the pretend vendor, a browser, a client. One JSON line in, one out."""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import ClientSession
from yarl import URL

from vaultd.sandbox import Sandbox


async def main() -> None:
    async with Sandbox() as sandbox, ClientSession() as http:
        print(json.dumps(sandbox.overlay()), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            question = json.loads(line)
            if "open" in question:  # no port is published: what a browser elsewhere ends on is only an address
                async with http.get(question["open"], allow_redirects=False) as page:
                    answer: object = page.headers["Location"]
            elif "land" in question:  # the vendor's port is published: what it was sent to comes in at another address
                async with http.get(question["land"], allow_redirects=False) as page:
                    address = URL(page.headers["Location"])
                here = {"Host": f"{address.host}:{address.port}"}
                async with http.get(address.with_host(question["at"]), headers=here, allow_redirects=False) as page:
                    answer = page.status
            else:
                body = {"model": "gpt-5", "messages": [{"role": "user", "content": "say heron"}]}
                headers = {"Authorization": f"Bearer {question['key']}"}
                async with http.post(f"{question['ask']}/v1/chat/completions", json=body, headers=headers) as said:
                    text = await said.text()
                    answer = said.status if "heron" in text else text
            print(json.dumps(answer), flush=True)


asyncio.run(main())

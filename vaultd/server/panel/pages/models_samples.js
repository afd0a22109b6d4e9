// The code to take along: each of the three SDKs as its own documentation has it, pointed here. The key is never in it: what is
// copied ends in chats and repositories, so it is read from the environment.
import { inQuotes, word } from "./clients_recipes.js";

const QUESTION = "Say hello in one short sentence.";
const json = (value) => JSON.stringify(value);

/** `formats`: the wire formats (as the API names them) whose vendors speak this natively; that sample is shown first. */
export const SAMPLES = [
  {
    id: "anthropic",
    label: "Anthropic",
    package: "anthropic",
    formats: ["anthropic-messages"],
    curl: (address, model) => `curl ${word(`${address}/v1/messages`)} \\
  -H "x-api-key: $VAULTD_KEY" \\
  -H "anthropic-version: 2023-06-01" \\
  -H "content-type: application/json" \\
  -d ${inQuotes(`{"model": ${json(model)}, "max_tokens": 512,
       "messages": [{"role": "user", "content": "${QUESTION}"}]}`)}
`,
    python: (address, model) => `import os
from anthropic import Anthropic

client = Anthropic(base_url=${json(address)}, api_key=os.environ["VAULTD_KEY"])
with client.messages.stream(
    model=${json(model)},
    max_tokens=512,
    messages=[{"role": "user", "content": "${QUESTION}"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
`,
  },
  {
    id: "openai",
    label: "OpenAI",
    package: "openai",
    formats: ["openai-chat", "openai-responses"],
    curl: (address, model) => `curl ${word(`${address}/v1/chat/completions`)} \\
  -H "Authorization: Bearer $VAULTD_KEY" \\
  -H "content-type: application/json" \\
  -d ${inQuotes(`{"model": ${json(model)},
       "messages": [{"role": "user", "content": "${QUESTION}"}]}`)}
`,
    python: (address, model) => `import os
from openai import OpenAI

client = OpenAI(base_url=${json(`${address}/v1`)}, api_key=os.environ["VAULTD_KEY"])
stream = client.chat.completions.create(
    model=${json(model)},
    messages=[{"role": "user", "content": "${QUESTION}"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
`,
  },
  {
    id: "google",
    label: "Google",
    package: "google-genai",
    formats: ["gemini"],
    curl: (address, model) => `curl ${word(`${address}/v1beta/models/${encodeURIComponent(model)}:generateContent`)} \\
  -H "x-goog-api-key: $VAULTD_KEY" \\
  -H "content-type: application/json" \\
  -d '{"contents": [{"role": "user", "parts": [{"text": "${QUESTION}"}]}]}'
`,
    python: (address, model) => `import os
from google import genai

client = genai.Client(
    api_key=os.environ["VAULTD_KEY"],
    http_options={"base_url": ${json(address)}},
)
for chunk in client.models.generate_content_stream(
    model=${json(model)},
    contents="${QUESTION}",
):
    print(chunk.text or "", end="", flush=True)
`,
  },
];

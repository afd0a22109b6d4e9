// What to put into which client so that it talks to this daemon, as data. Commands and file formats are the same in every
// language; only the captions are texts. What each client reads was seen by running it (docs/clients.md).

/** What stands in a recipe while no key was chosen. A shell and a person both see that it has to be replaced. */
export const PLACEHOLDER = "YOUR-CLIENT-KEY";

const shell = (text) => ({ language: "sh", text });
const file = (name, language, text) => ({ file: name, language, text });

/** In double quotes in TOML, JSON, Python and JavaScript alike. */
const quoted = (text) => JSON.stringify(text);
/** A word of a shell; `model(high)` would be read by it. */
export const word = (text) => (/^[\w.:/@-]+$/.test(text) ? text : inQuotes(text));
/** The same, in quotes whatever it is: JSON, and what has a blank in it. */
export const inQuotes = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Claude Code asks a small model of its own for titles and the like; where none of Claude's is served it would not be found. */
const claude = (address, key, model) => ({
  ANTHROPIC_BASE_URL: address,
  ANTHROPIC_AUTH_TOKEN: key,
  ANTHROPIC_MODEL: model,
  ...(model.startsWith("claude") ? {} : { ANTHROPIC_DEFAULT_HAIKU_MODEL: model }),
});

/** `{id, name, speaks}` and `blocks({address, key, model})` → `[{text, language, file?}]`, each a thing to copy.
 * `speaks`: the format the client speaks, which picks the model offered first. */
export const RECIPES = [
  {
    id: "claude-code",
    name: "Claude Code",
    speaks: "anthropic-messages",
    blocks: ({ address, key, model }) => [
      shell(
        `${Object.entries(claude(address, key, model)).map(([name, value]) => `export ${name}=${word(value)}\n`).join("")}claude`,
      ),
      file(
        "~/.claude/settings.json",
        "json",
        json({ env: claude(address, key, model) }),
      ),
    ],
  },
  {
    id: "codex",
    name: "Codex",
    speaks: "openai-responses",
    blocks: ({ address, key, model }) => [
      file(
        "~/.codex/config.toml",
        "toml",
        `model = ${quoted(model)}\nmodel_provider = "vaultd"\n\n[model_providers.vaultd]\nname = "vaultd"\nbase_url = ${quoted(`${address}/v1`)}\nwire_api = "responses"\nenv_key = "VAULTD_KEY"`,
      ),
      shell(`export VAULTD_KEY=${word(key)}\ncodex`),
    ],
  },
  {
    id: "gemini-cli",
    name: "Gemini CLI",
    speaks: "gemini",
    blocks: ({ address, key, model }) => [
      shell(`export GOOGLE_GEMINI_BASE_URL=${word(address)}\nexport GEMINI_API_KEY=${word(key)}\ngemini -m ${word(model)}`),
    ],
  },
  {
    id: "opencode",
    name: "opencode",
    speaks: "openai-chat",
    blocks: ({ address, key, model }) => [
      file(
        "opencode.json",
        "json",
        json({
          $schema: "https://opencode.ai/config.json",
          provider: {
            vaultd: {
              npm: "@ai-sdk/openai-compatible",
              name: "vaultd",
              options: { baseURL: `${address}/v1`, apiKey: key },
              models: { [model]: {} },
            },
          },
          model: `vaultd/${model}`,
        }),
      ),
    ],
  },
  {
    id: "openai",
    name: "OpenAI SDK",
    speaks: "openai-responses",
    blocks: ({ address, key, model }) => [
      file(
        "Python",
        "python",
        `from openai import OpenAI\n\nclient = OpenAI(base_url=${quoted(`${address}/v1`)}, api_key=${quoted(key)})\nanswer = client.responses.create(model=${quoted(model)}, input="Hello")\nprint(answer.output_text)`,
      ),
      file(
        "JavaScript",
        "js",
        `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${quoted(`${address}/v1`)}, apiKey: ${quoted(key)} });\nconst answer = await client.responses.create({ model: ${quoted(model)}, input: "Hello" });\nconsole.log(answer.output_text);`,
      ),
    ],
  },
  {
    id: "anthropic",
    name: "Anthropic SDK",
    speaks: "anthropic-messages",
    blocks: ({ address, key, model }) => [
      file(
        "Python",
        "python",
        `from anthropic import Anthropic\n\nclient = Anthropic(base_url=${quoted(address)}, api_key=${quoted(key)})\nanswer = client.messages.create(\n    model=${quoted(model)},\n    max_tokens=1024,\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.content[0].text)`,
      ),
      file(
        "JavaScript",
        "js",
        `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({ baseURL: ${quoted(address)}, apiKey: ${quoted(key)} });\nconst answer = await client.messages.create({\n  model: ${quoted(model)},\n  max_tokens: 1024,\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.content[0].text);`,
      ),
    ],
  },
  {
    id: "google",
    name: "Google GenAI SDK",
    speaks: "gemini",
    blocks: ({ address, key, model }) => [
      file(
        "Python",
        "python",
        `from google import genai\n\nclient = genai.Client(api_key=${quoted(key)}, http_options={"base_url": ${quoted(address)}})\nanswer = client.models.generate_content(model=${quoted(model)}, contents="Hello")\nprint(answer.text)`,
      ),
      file(
        "JavaScript",
        "js",
        `import { GoogleGenAI } from "@google/genai";\n\nconst client = new GoogleGenAI({ apiKey: ${quoted(key)}, httpOptions: { baseUrl: ${quoted(address)} } });\nconst answer = await client.models.generateContent({ model: ${quoted(model)}, contents: "Hello" });\nconsole.log(answer.text);`,
      ),
    ],
  },
  {
    id: "curl",
    name: "curl",
    speaks: "openai-chat",
    blocks: ({ address, key, model }) => [
      shell(
        `curl ${word(`${address}/v1/chat/completions`)} \\\n  -H ${inQuotes(`Authorization: Bearer ${key}`)} \\\n  -H "Content-Type: application/json" \\\n  -d ${inQuotes(JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "Hello" }] }))}`,
      ),
      shell(`curl ${word(`${address}/v1/models`)} -H ${inQuotes(`Authorization: Bearer ${key}`)}`),
    ],
  },
];

function json(value) {
  return JSON.stringify(value, null, 2);
}

/** The lesser models of a family, which nobody means who names none. */
const SMALL = /-(haiku|mini|nano|lite|flash|image|preview|embedding)/;
/** `claude-sonnet-4-5-20250929` → [4, 5]: a longer number is a date. */
const version = (id) => (id.match(/\d+/g) ?? []).filter((digits) => digits.length < 3).map(Number);

/** The newest version first; of one version the shortest name, which has no suffix of a mode. */
function byVersion(a, b) {
  const [one, other] = [version(a), version(b)];
  for (let n = 0; n < Math.max(one.length, other.length); n++) {
    const ahead = (other[n] ?? -1) - (one[n] ?? -1);
    if (ahead) return ahead;
  }
  return a.length - b.length;
}

/** The model a recipe offers: what the person picked, else the newest that needs no translation for this client. */
export function modelFor(recipe, models, picked) {
  if (picked) return picked;
  const own = models.filter((model) => (model.formats ?? []).includes(recipe.speaks)).map((model) => model.id);
  const ids = (own.length ? own : models.map((model) => model.id)).sort(byVersion);
  return ids.find((id) => !SMALL.test(id)) ?? ids[0] ?? "MODEL";
}

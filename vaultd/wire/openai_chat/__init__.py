"""OpenAI Chat Completions: `POST /v1/chat/completions`. `face` is what a relay of the same format needs to know."""

"""OpenAI Responses: `POST /v1/responses`. `face` is what a relay of the same format needs to know, `fold` makes one
answer of a stream for vendors that only stream."""

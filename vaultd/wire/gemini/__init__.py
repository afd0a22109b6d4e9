"""Gemini: `POST /v1beta/models/{model}:{method}`. `face` is what a relay of the same format needs to know."""

"""Anthropic Messages: `POST /v1/messages`. `face` is what a relay of the same format needs to know, `grammar` all else."""

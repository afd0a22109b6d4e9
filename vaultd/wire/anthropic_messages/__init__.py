"""Anthropic Messages: `POST /v1/messages`. `face` is what a relay of the same format needs, `grammar` all else."""

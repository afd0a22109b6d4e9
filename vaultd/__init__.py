"""vaultd: one local address for every LLM subscription, with the tokens sealed."""

__version__ = "0.1.0"

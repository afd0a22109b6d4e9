"""What was used: requests, tokens, failures, time; by credential, model, client key and hour; kept over restarts."""

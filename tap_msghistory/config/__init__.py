"""Settings: schema, validation, and an account's clients."""

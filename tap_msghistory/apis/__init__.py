"""The vendors' APIs: what to ask, and what an answer says. Pure; the client does the asking."""

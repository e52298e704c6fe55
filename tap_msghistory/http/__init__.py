"""HTTP with one credential: requests, retries, rate limits, response bodies."""

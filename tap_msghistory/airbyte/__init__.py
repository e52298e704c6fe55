"""The Airbyte connector `source-msghistory`: the same histories, in Airbyte's protocol."""

"""The partner gateway's export: a job is queued and waited for, its file parsed and ordered on disk."""

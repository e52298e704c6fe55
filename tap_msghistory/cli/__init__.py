"""The command line: options, one-line errors, progress display, the table of --plan."""

"""The command line: options, errors, progress display, and the table of `--plan`."""

"""The measures, one a module: each takes a scale and contestants, and gives a section of the report."""

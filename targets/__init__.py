"""What Singer targets make of the tap's output, cell by cell."""

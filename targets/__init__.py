"""Tests of Singer targets: load the tap's output and compare what is stored, cell by cell."""

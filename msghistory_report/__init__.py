"""A delivery report as one HTML page, from the marts of the dbt package msghistory."""

"""Decide the order: one file is one DAG is one `lm` command."""

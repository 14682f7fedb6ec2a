"""Touches the world: steps that load, call lmcore and save; the doors to MLflow, DVC and Prefect."""

"""What `lm doctor` looks at: each check is a function `(workspace, is_thorough) -> findings`.

machine.py     room on the disk, versions of libraries
databases.py   Prefect's and MLflow's: do they open, and were they written by these versions
runs.py        runs that are said to go on, and whose process is gone
leftovers.py   what a kill leaves: half-made products, half-written files, links to nothing
products.py    products, their copies in the registry and in DVC's cache, ledgers
releases.py    moves of aliases that were interrupted, versions that the registry has lost
"""

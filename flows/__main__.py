"""`python -m flows` is `lm`."""

from flows.cli import main

main()

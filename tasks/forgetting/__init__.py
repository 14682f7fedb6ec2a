"""Out of the data for good: which products saw a file, and removing all that holds its text.

ledger.py     forgotten.jsonl: which files no run reads any more, by path and by bytes
subject.py    the file that is asked for, wherever manifests name it
sightings.py  who saw it: products, models, versions, down to the documents and their sides
copies.py     products in their places and in DVC's cache, and what they keep of a file's words
texts.py      what words a file of any kind holds
quotes.py     the runs of words that only this file has, and who repeats them
items.py      all that has to go, found by lineage and by a search for its words
caches.py     the same for DVC's cache
away.py       the same for DVC's remote
rows.py       the same for rows of the databases of Prefect and MLflow
retire.py     taking the weights away that learned from it
forget.py     the order in which it is done, so that the same command finishes what a kill has interrupted
"""

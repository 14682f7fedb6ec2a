"""Text becomes a corpus: read -> cleaned -> deduplicated -> split, each stage a folder of Parquet files.

    document.py     the one record, and the record of a rejection, in Parquet
    ingest.py       a source's files -> documents          readers/   one file format a file
    clean.py        documents -> normalised, filtered      filters/   one rule family a file
    deduplicate.py  -> exact and near duplicates out       words, minhash, similarity: what it computes with
    split.py        -> train, validation, test, for ever   ledger.py  which document is on which side
    statistics.py   a corpus in numbers, by SQL

A stage takes the paths that it reads, the empty folder that it fills, and its settings; it returns facts
(counts that are the same on every machine). A document that does not go on is kept with its reason.
"""

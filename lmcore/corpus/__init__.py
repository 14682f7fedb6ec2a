"""Text becomes a corpus: read, cleaned, filtered, deduplicated, split; each stage fills a folder.

    document.py     the one record, and the record of a rejection, in Parquet
    ingest.py       a source's files -> documents          readers/   one file format a file
    clean.py        -> normalised, mended (cleaners/) and measured (filters/, a family of rules a file)
    filter.py       measurements -> which documents go on, in SQL
    deduplicate.py  -> which say the same as another       words, minhash, fingerprints, similarity
    repeats.py      -> passages that stand elsewhere too   passages.py
    decontaminate.py  -> which hold what is tested with    ngrams.py
    split.py        -> train, validation, test, for ever   ledger.py  which document is on which side
    statistics.py   a corpus in numbers, by SQL
    analysis/       what words tell: classes, vectors  (beside the way to a model)
    text.py         a text whose words are numbered once for all who measure
    pieces.py       work cut into pieces that are kept; chunks.py cuts tables, and the cuts stay

A stage takes the paths that it reads, the empty folder that it fills, and its settings; it returns facts
(counts that are the same on every machine). Between cleaning and splitting, stages decide and copy no text;
the split puts into effect what they decided, and keeps each document that does not go on with its reason.
"""

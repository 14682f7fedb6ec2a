"""How good a model is, with an interval, beside a cheap baseline.

settings.py    what is measured and how
harness.py     model + shards in, report out
perplexity.py  nats per token by strided windows, each token counted once
bootstrap.py   what an interval over documents looks like
scores.py      the scores of a report, overall and by source, beside the baseline
verdict.py     two reports compared, in words
"""

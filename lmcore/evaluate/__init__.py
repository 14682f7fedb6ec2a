"""How good a model is, with an interval, beside a cheap baseline.

settings.py    what is measured and how
harness.py     model + shards in, report out
comparison.py  models + shards in, their differences out (comparison_table.py: documents by models)
scoring.py     what both begin with: the right shards, nats per document
perplexity.py  nats per token by strided windows, each token counted once
bootstrap.py   what an interval over documents looks like
scores.py      the scores of a report, overall and by source, beside the baseline
verdict.py     two reports compared, in words

exam.py        models + conversations in, marks beside baselines out
answering.py   models answer questions, greedily
marks.py       from answers to scores with intervals
metrics/       what an answer is worth: ROUGE, exact match
baselines/     cheap ways to answer
"""

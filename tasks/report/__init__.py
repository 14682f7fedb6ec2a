"""One page of HTML a run: what was made, how it learnt, what it is worth, what to do next.

The page is no cached product, since it tells of one run and not of a key. It is gathered here, beside the
engine and not in it, because it reads what steps wrote (`metrics.jsonl`, `comparison.json`, ...) by the
names of the files, whichever step wrote them.

write.py       where it lies, and when it is written
facts.py       a run's steps, what became of them, the files of their products
judging.py     differences in words
page.py        the sections in order, put into their templates
sections/      what stands on the page, one file a section
drawing/       pictures as SVG: numbers in, markup out
templates/     HTML, one template a section; the style sheet; a few lines of script
"""

from tasks.report.write import write_report

__all__ = ["write_report"]

"""What stands on a run's page, one file a section: facts in, what the template of that name shows out.

A section of which a run has nothing is empty, and left out.

headline.py     what was made, when, at what cost, what was reused
steps.py        the graph of steps and the same as a table
sweep.py        variants beside each other
training.py     loss curves
scores.py       models beside a unigram model, by source
comparison.py   several models beside a reference, by source
exam.py         exercises, models beside baselines
answers.py      some answers, good and poor
rivals.py       the best model beside the best of what it has to beat
dial.py         merges along the way from one parent to the other
samples.py      what the models wrote, side by side
data.py         the corpus in numbers
advice.py       what the numbers suggest, by stated rules; what to type next
"""

"""Several models of one shape in, one model out: no training, only arithmetic on their weights.

settings.py      the method and its dials
methods/         one way of merging a file: a pure function of tensors
elementwise.py   formulas over tensors, a stretch at a time
trim.py          the largest changes of a tensor, exactly as many as asked for
sign_vote.py     what the models that agree on a direction say together
weights.py       folders in, a folder out, weight by weight
folders.py       a model folder's weights; what must be equal in all of them
tensor_writer.py safetensors, written in any order
measures.py      how far apart the parents are, and what the merged model holds of each
"""

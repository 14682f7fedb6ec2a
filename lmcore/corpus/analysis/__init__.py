"""What words tell of a corpus: nothing here is on the way to a model.

words.py         what a word is here, texts as the numbers of their words
bag_of_words.py  words without their order, and a linear classifier on them
classify.py      which source a text comes from: learned on the train side, measured on test
skip_gram.py     words in context become vectors
embeddings.py    vectors of words and documents as a product
nearest.py       which vectors are nearest, exactly
"""

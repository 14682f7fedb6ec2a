"""Conversations to teach and to examine by: made from a corpus, side by side with the user's own.

settings.py   which exercises, and what becomes of the user's own conversations
write.py      corpus + own files in, one JSON Lines file a side out
exercises/    one exercise a file: documents of a side -> questions with their answers
passages.py   what exercises cut from a text: sentences, verses, passages
works.py      what a file or a source is called in an answer
draw.py       which items are taken: evenly over works and chapters, decided by hashes
own.py        the user's own conversations on their sides, and those held out as items to look for
read.py       the user's own files, in any of four forms
sides.py      which side an own conversation stands on
records.py    the one record, and its files
"""

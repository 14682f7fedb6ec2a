"""Conversations, and the one template that renders them for training and for serving.

conversation.py  messages with roles, checked
template.py      ChatML as text (Jinja, sandboxed) and as token ids with a mask of what to learn
chatml.jinja     the template itself, shipped with every tokenizer
"""

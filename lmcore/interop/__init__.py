"""Models in other people's formats: hugging_face.py writes and reads folders of the Llama family."""

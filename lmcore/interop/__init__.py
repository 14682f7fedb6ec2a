"""Models in other people's formats.

hugging_face.py   folders of the Llama family, written and read
llama_config.py   settings <-> config.json
llama_names.py    weights <-> weights under Llama's names
peft.py           adapter folders of PEFT, written and read
peft_config.py    adapter settings <-> adapter_config.json
tensor_files.py   safetensors
"""

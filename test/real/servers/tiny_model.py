"""Makes a tiny Llama-like model for tests against real servers: nothing is downloaded.

    python tiny_model.py FOLDER

The weights are random, from a fixed seed, so the model writes nonsense, and the same nonsense at temperature 0 every time. Its tokens are
bytes, a few words and the marks of its template, so any text can be forced out of it by a grammar or a bias. The template opens a thought
where it is asked to (`enable_thinking`), and writes tools and their calls in Hermes form.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MARKS = ["<s>", "</s>", "<|turn|>", "<|end|>"]
# of one token each, as in models that think and call tools; they are text, not marks that a decoder leaves out
WORDS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
CONTEXT = 2048

TEMPLATE = """
{%- for message in messages %}
{{- '<|turn|>' + message.role + '\n' }}
{%- if message.content is string %}{{ message.content }}
{%- elif message.content %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + {'name': call.function.name, 'arguments': call.function.arguments} | tojson + '</tool_call>' }}
{%- endfor %}
{{- '<|end|>\n' }}
{%- endfor %}
{%- if tools %}{{- '<|turn|>tools\n' + tools | tojson + '<|end|>\n' }}{% endif %}
{%- if add_generation_prompt %}
{{- '<|turn|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking %}{{ '<think>' }}{% endif %}
{%- endif %}
""".strip()


def make_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(MARKS + WORDS + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(MARKS)
    tokenizer.add_tokens(WORDS)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=["<|turn|>", "<|end|>"],
        model_max_length=CONTEXT,
    )
    fast.chat_template = TEMPLATE
    return fast


def make_model(words: int) -> LlamaForCausalLM:
    torch.manual_seed(14)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=words,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=CONTEXT,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            tie_word_embeddings=False,
        )
    )


def prefer_letters(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Of all tokens only letters come by themselves; others have to be forced. Else an answer would be half characters, and JSON all blanks."""
    letters = torch.zeros(len(tokenizer), 1)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        letters[tokenizer.convert_tokens_to_ids(letter)] = 50
    with torch.no_grad():
        model.lm_head.weight.mul_(letters)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    model = make_model(len(tokenizer)).to(torch.float32)
    prefer_letters(model, tokenizer)
    model.save_pretrained(folder, safe_serialization=True)
    print(json.dumps({"folder": str(folder), "tokens": len(tokenizer), "context": CONTEXT}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))

"""The tokenizer of the tiny checkpoint: built as the published one is, with a vocabulary of single characters."""

from __future__ import annotations

import string

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

__all__ = ["tiny_tokenizer"]

_ROLES = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
_CHAT = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", "<|image|>")

_SWALLOWS_SPACE = {"</s>", "<|assistant|>", "<|image|>"}
"""Tokens that take the white space behind them, so that an answer follows `<|assistant|>` and a new line directly."""

_SPACE = "▁"
_PRINTABLE = string.digits + string.ascii_letters + string.punctuation

_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' ~ message['role'] ~ '|>\\n' ~ message['content'] ~ '<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}"
    "{{ '<|assistant|>\\n' }}"
    "{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: bytes, printable characters, and the published special tokens with their flags."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_pipeline(),
        **_ROLES,
        extra_special_tokens=["<|system|>", "<|end|>", "<|user|>"],
        chat_template=_TEMPLATE,
        model_max_length=131072,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def _pipeline() -> Tokenizer:
    """A text gets a space before it, spaces become `▁`, and what the vocabulary lacks is spelt in bytes."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), _SPACE, *_PRINTABLE]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token=_ROLES["unk_token"], fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([_added(token) for token in ("<unk>", "<s>")])
    tokenizer.add_tokens([_added("</s>")])  # an ordinary token in the published tokenizer: decoding keeps it
    tokenizer.add_special_tokens([_added(token) for token in _CHAT])
    return tokenizer


def _added(token: str) -> AddedToken:
    return AddedToken(token, rstrip=token in _SWALLOWS_SPACE, normalized=False)

"""Small vocabularies in the formats of GPT-2 and BERT, and what transformers makes of some texts.

Needs tokenizers and transformers.
"""
import json
import os

import transformers
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))

TEXTS = [
    "Call me Ishmael. Some years ago, never mind how long.",
    "The quick brown fox can't jump over 12 lazy dogs!",
    "  leading spaces,\ttabs\nand new lines  ",
    "Crème brûlée, naïve façade; 東京 and 🐋 whales",
    "UPPER lower MiXeD unbelievably",
    "",
    "a",
]
PAIRS = [["How long?", "Never mind."], ["a whale", "Call me Ishmael. Some years ago, never mind."], ["", "b"]]
CORPUS = TEXTS * 3 + [a + " " + b for a, b in PAIRS]


def calls(tokenizer, pad):
    out = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        out.append({
            "text": text,
            "ids": ids,
            "cut": tokenizer(text, truncation=True, max_length=6)["input_ids"],
            "bare": tokenizer(text, add_special_tokens=False)["input_ids"],
            "decoded": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
        })
    pairs = []
    for a, b in PAIRS:
        for length in (None, 8, 9):
            e = tokenizer(a, b, truncation=length is not None, max_length=length, return_token_type_ids=True)
            pairs.append({"texts": [a, b], "maxLength": length, "ids": e["input_ids"], "types": e["token_type_ids"]})
    tokenizer.pad_token = pad
    batch = tokenizer(TEXTS[:3], padding=True)
    return {
        "singles": out,
        "pairs": pairs if pad == "[PAD]" else [],
        "batch": {"ids": batch["input_ids"], "mask": batch["attention_mask"]},
    }


def main():
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(CORPUS, vocab_size=400, min_frequency=2, special_tokens=["<|endoftext|>"])
    bpe.save_model(HERE)
    wordpiece = BertWordPieceTokenizer(lowercase=True)
    wordpiece.train_from_iterator(CORPUS, vocab_size=250, min_frequency=2)
    wordpiece.save_model(HERE)
    gpt2 = transformers.GPT2TokenizerFast(os.path.join(HERE, "vocab.json"), os.path.join(HERE, "merges.txt"))
    bert = transformers.BertTokenizerFast(os.path.join(HERE, "vocab.txt"))
    bert.backend_tokenizer.save(os.path.join(HERE, "tokenizer.json"), pretty=False)
    cases = {"bpe": calls(gpt2, "<|endoftext|>"), "wordPiece": calls(bert, "[PAD]")}
    with open(os.path.join(HERE, "cases.json"), "w") as f:
        json.dump(cases, f, ensure_ascii=False, indent=1)


main()

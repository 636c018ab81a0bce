#!/usr/bin/env python3
"""Text to tokens with a vocabulary of GPT-2's size, where there is no network to fetch GPT-2's own.

    make_tokens.py --out FOLDER TEXT...

A token is a word, with the blank before it if there is one, or a byte: 0 to 255 are the bytes, the next 50,000 at most
are the words that occur most often (ties: in the order of their bytes), and what is no such word is spelled in bytes. The
same texts give the same files. Written are FOLDER/train.bin (uint16, as nanoGPT's: `format: nanogpt`), vocabulary.txt
(line n is token 256 + n, as a Python literal) and shards.yaml, which names both, with `vocab: 50304`.

These are NOT GPT-2's tokens. A model trained on them computes exactly what one with GPT-2's vocabulary computes, in the
same time; its losses can be compared with nothing but each other.
"""
import argparse
import array
import collections
import pathlib
import re
import sys

WORDS_MAX, VOCAB = 50000, 50304
WORD = re.compile(rb" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")
SHARDS = """dataset: {name}
format: nanogpt
dtype: uint16
tokenizer: vocabulary.txt
vocab: {vocab}
shards:
  - path: train.bin
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", type=pathlib.Path, metavar="TEXT")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="FOLDER")
    args = parser.parse_args()
    texts = [path.read_bytes() for path in sorted(args.texts)]
    counts = collections.Counter(word for text in texts for word in WORD.findall(text))
    words = sorted((w for w in counts if len(w) > 1), key=lambda w: (-counts[w], w))[:WORDS_MAX]
    token_of = {word: 256 + i for i, word in enumerate(words)}

    tokens = array.array("H")
    for text in texts:
        for word in WORD.findall(text):
            token = token_of.get(word)
            if token is None:
                tokens.extend(word)
            else:
                tokens.append(token)
    if sys.byteorder == "big":
        tokens.byteswap()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "train.bin").write_bytes(tokens.tobytes())
    (args.out / "vocabulary.txt").write_text("".join(f"{word!r}\n" for word in words))
    (args.out / "shards.yaml").write_text(SHARDS.format(name=args.out.name, vocab=VOCAB))
    print(f"{len(texts)} texts, {sum(map(len, texts))} bytes: {len(tokens)} tokens, {len(words)} words, in {args.out}")


if __name__ == "__main__":
    main()

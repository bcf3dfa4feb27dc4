#!/usr/bin/env python3
"""Golden logits of llama.cpp: what every position of the texts predicts.

    make.py MODELS                       remake NAME.logits for every model, and itself.json
    make.py MODELS --compare NAME DUMP   exact full-vocabulary KL of the logits in DUMP against a live llama.cpp

MODELS is a folder that holds the GGUF files. README.md has the layout of the files.
"""

import argparse
import hashlib
import json
import struct
from pathlib import Path

import llama_cpp
import numpy as np

HERE = Path(__file__).resolve().parent
MODELS = {
    "smollm2-135m-instruct": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "gemma-3-270m": "gemma-3-270m-q4_k_m.gguf",
}
MAGIC = b"NIBLOGIT"
TOP = 128
GREEDY = 64
CONTEXT = 512
# Other ways in which llama.cpp computes the same: options of the model, and tokens in a batch.
WAYS = {
    "one token at a time": ({}, 1),
    "flash attention": ({"flash_attn": True}, CONTEXT),
    "cache in f32": ({"type_k": 0, "type_v": 0}, CONTEXT),
}
GREEDY_PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a village by the sea,",
    "def fibonacci(n):",
]


def open_model(path, **options):
    return llama_cpp.Llama(
        model_path=str(path),
        n_ctx=CONTEXT,
        n_batch=CONTEXT,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        verbose=False,
        **options,
    )


def encode(model, text):
    """The model's own BOS rule; control tokens in the text stay text."""
    add_bos = model.metadata.get("tokenizer.ggml.add_bos_token", "false") == "true"
    return model.tokenize(text.encode(), add_bos=add_bos, special=False)


def log_probs(model, tokens, batch=CONTEXT):
    """[positions][vocabulary] natural-log probabilities in float64, and the log-sum-exp of the raw logits."""
    model.reset()
    for start in range(0, len(tokens), batch):
        model.eval(tokens[start : start + batch])
    logits = model.scores[: len(tokens)].astype(np.float64)
    return normalise(logits)


def normalise(logits):
    peak = logits.max(axis=1, keepdims=True)
    lse = peak + np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))
    return logits - lse, lse[:, 0]


def truncate(reference):
    """Ids of the TOP most probable tokens of every position, most probable first."""
    order = np.argpartition(-reference, TOP, axis=1)[:, :TOP]
    values = np.take_along_axis(reference, order, axis=1)
    return np.take_along_axis(order, np.argsort(-values, axis=1, kind="stable"), axis=1)


def greedy(model, prompt):
    tokens = encode(model, prompt)
    model.reset()
    model.eval(tokens)
    produced = []
    while True:
        produced.append(int(model.scores[model.n_tokens - 1].argmax()))
        if len(produced) == GREEDY:
            return {"prompt": tokens, "tokens": produced}
        model.eval(produced[-1:])


def make(name, path, texts):
    model = open_model(path)
    header = {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "llama_cpp_python": llama_cpp.__version__,
        "vocabulary": model.n_vocab(),
        "top": TOP,
        "texts": [{"name": key, "tokens": encode(model, text)} for key, text in texts.items()],
        "greedy": [greedy(model, prompt) for prompt in GREEDY_PROMPTS],
    }
    encoded = json.dumps(header).encode()
    encoded += b" " * (-(len(encoded) + len(MAGIC) + 4) % 4)
    positions, rests = 0, []
    with open(HERE / f"{name}.logits", "wb") as out:
        out.write(MAGIC + struct.pack("<I", len(encoded)) + encoded)
        for text in header["texts"]:
            tokens = text["tokens"]
            reference, lse = log_probs(model, tokens)
            ids = truncate(reference)
            top = np.take_along_axis(reference, ids, axis=1)
            rest = 1.0 - np.exp(top).sum(axis=1)
            for i in range(len(tokens)):
                following = reference[i, tokens[i + 1]] if i + 1 < len(tokens) else np.nan
                out.write(struct.pack("<3f", following, lse[i], rest[i]))
                out.write(ids[i].astype("<u4").tobytes() + top[i].astype("<f4").tobytes())
            positions += len(tokens)
            rests.extend(rest)
    print(f"{name}: {positions} positions, mass outside the top {TOP}: {np.mean(rests):.4f} mean")


def divergence(tokens, reference, other):
    """At every position KL(reference || other) and whether the most probable token is the same; of every token that follows
    another, its log-probability by both."""
    kl = (np.exp(reference) * (reference - other)).sum(axis=1)
    rows = np.arange(len(tokens) - 1)
    return kl, reference.argmax(axis=1) == other.argmax(axis=1), reference[rows, tokens[1:]], other[rows, tokens[1:]]


def itself(path, texts):
    """How far llama.cpp is from itself when it computes the same in another way: the floor of every comparison with it."""
    model = open_model(path)
    tokens = [encode(model, text) for text in texts.values()]
    references = [log_probs(model, text)[0] for text in tokens]
    report = {}
    for way, (options, batch) in WAYS.items():
        model = open_model(path, **options)
        others = (log_probs(model, text, batch)[0] for text in tokens)
        parts = [divergence(*part) for part in zip(tokens, references, others)]
        kl, same, theirs, ours = map(np.concatenate, zip(*parts))
        report[way] = {
            "mean_kl": round(float(np.mean(kl)), 6),
            "same_top": round(float(np.mean(same)), 4),
            "perplexity_ratio": round(float(np.exp(np.mean(theirs) - np.mean(ours))), 5),
        }
    return report


def compare(path, texts, dump):
    model = open_model(path)
    vocabulary = model.n_vocab()
    dumped = np.memmap(dump, dtype="<f4", mode="r").reshape(-1, vocabulary)
    at, cut, parts = 0, [], []
    for text in texts.values():
        tokens = encode(model, text)
        reference, _ = log_probs(model, tokens)
        other, _ = normalise(dumped[at : at + len(tokens)].astype(np.float64))
        at += len(tokens)
        parts.append(divergence(tokens, reference, other))
        ids = truncate(reference)
        p, lp, lq = (np.take_along_axis(x, ids, axis=1) for x in (np.exp(reference), reference, other))
        rest_p, rest_q = 1 - p.sum(axis=1), 1 - np.exp(lq).sum(axis=1)
        cut.extend((p * (lp - lq)).sum(axis=1) + rest_p * np.log(rest_p / rest_q))
    full, same, theirs, ours = map(np.concatenate, zip(*parts))
    assert at == len(dumped), f"{dump} holds {len(dumped)} positions, the texts have {at}"
    ratio = np.exp(np.mean(theirs) - np.mean(ours))
    print(f"positions              {at}")
    print(f"mean KL, all tokens    {np.mean(full):.6f} nats (largest {np.max(full):.6f})")
    print(f"mean KL, top {TOP:<9} {np.mean(cut):.6f} nats (largest {np.max(cut):.6f})")
    print(f"same most probable     {100 * np.mean(same):.2f} %")
    print(f"perplexity             {np.exp(-np.mean(theirs)):.4f} llama.cpp, ratio {ratio:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--compare", nargs=2, metavar=("NAME", "DUMP"))
    arguments = parser.parse_args()
    texts = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    if arguments.compare:
        name, dump = arguments.compare
        compare(arguments.models / MODELS[name], texts, dump)
    else:
        for name, file in MODELS.items():
            make(name, arguments.models / file, texts)
        report = {name: itself(arguments.models / file, texts) for name, file in MODELS.items()}
        (HERE / "itself.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

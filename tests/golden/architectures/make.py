#!/usr/bin/env python3
"""Golden logits of llama.cpp for one tiny model of every architecture that the candle backend runs.

    make.py [MODELS]    remake architectures.json; the folder of real models is not needed

README.md says what is in the file. A model is not stored: its weights are `weights(...)` below, which the test computes too.
"""

import json
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

HERE = Path(__file__).resolve().parent
VOCABULARY, WIDTH, HEADS, KV_HEADS, HEAD, INNER = 96, 32, 4, 2, 8, 64
TOKENS = [(i * i * 7 + i * 3 + 1) % VOCABULARY for i in range(40)]
SHOWN = [0, 1, 19, 39]


def weights(seed, count, scale, offset):
    """`offset + scale * x`, x from a 64-bit linear congruential generator (Knuth's MMIX), 24 bits each, in [-1, 1)."""
    state, values = seed, np.empty(count, np.float32)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[i] = np.float32((state >> 40) - 2**23) / np.float32(2**23)
    return np.float32(offset) + np.float32(scale) * values


class Model:
    def __init__(self, architecture, layers=2, kv_heads=KV_HEADS):
        self.architecture = architecture
        self.tensors = []
        self.metadata = {}
        self.put("block_count", layers)
        self.put("context_length", 256)
        self.put("embedding_length", WIDTH)
        self.put("feed_forward_length", INNER)
        self.put("attention.head_count", HEADS)
        self.put("attention.head_count_kv", kv_heads)
        self.put("rope.freq_base", 10000.0)

    def put(self, key, value):
        self.metadata[f"{self.architecture}.{key}"] = value

    def matrix(self, name, rows, cols, scale=0.25):
        self.tensors.append({"name": f"{name}.weight", "shape": [rows, cols], "scale": scale, "offset": 0.0})

    def norm(self, name, width=WIDTH):
        self.tensors.append({"name": f"{name}.weight", "shape": [width], "scale": 0.25, "offset": 1.0})

    def bias(self, name, width):
        self.tensors.append({"name": f"{name}.bias", "shape": [width], "scale": 0.25, "offset": 0.0})

    def attention(self, layer):
        for name, rows in ("attn_q", HEADS * HEAD), ("attn_k", KV_HEADS * HEAD), ("attn_v", KV_HEADS * HEAD):
            self.matrix(f"{layer}.{name}", rows, WIDTH)
        self.matrix(f"{layer}.attn_output", WIDTH, HEADS * HEAD)

    def head_norms(self, layer):
        self.norm(f"{layer}.attn_q_norm", HEAD)
        self.norm(f"{layer}.attn_k_norm", HEAD)

    def gated(self, layer):
        self.matrix(f"{layer}.ffn_gate", INNER, WIDTH)
        self.matrix(f"{layer}.ffn_up", INNER, WIDTH)
        self.matrix(f"{layer}.ffn_down", WIDTH, INNER)

    def fused(self, layer):
        self.matrix(f"{layer}.ffn_up", 2 * INNER, WIDTH)
        self.matrix(f"{layer}.ffn_down", WIDTH, INNER)

    def layer_norms(self, layer, *more):
        for name in "attn_norm", "ffn_norm", *more:
            self.norm(f"{layer}.{name}")

    def ends(self, tied=False, norm="output_norm"):
        self.matrix("token_embd", VOCABULARY, WIDTH, 1.0)
        self.norm(norm)
        if not tied:
            self.matrix("output", VOCABULARY, WIDTH)

    def blocks(self):
        return [f"blk.{layer}" for layer in range(self.metadata[f"{self.architecture}.block_count"])]


def llama():
    model = Model("llama")
    model.put("attention.layer_norm_rms_epsilon", 1e-5)
    model.put("rope.dimension_count", HEAD)
    model.ends()
    for layer in model.blocks():
        model.layer_norms(layer)
        model.attention(layer)
        model.gated(layer)
    return model


def qwen2():
    model = Model("qwen2")
    model.put("attention.layer_norm_rms_epsilon", 1e-6)
    model.ends(tied=True)
    for layer in model.blocks():
        model.layer_norms(layer)
        model.attention(layer)
        for name, width in ("attn_q", HEADS * HEAD), ("attn_k", KV_HEADS * HEAD), ("attn_v", KV_HEADS * HEAD):
            model.bias(f"{layer}.{name}", width)
        model.gated(layer)
    return model


def qwen3():
    model = Model("qwen3")
    model.put("attention.layer_norm_rms_epsilon", 1e-6)
    model.put("attention.key_length", HEAD)
    model.put("attention.value_length", HEAD)
    model.ends()
    for layer in model.blocks():
        model.layer_norms(layer)
        model.attention(layer)
        model.head_norms(layer)
        model.gated(layer)
    return model


def phi2():
    model = Model("phi2", kv_heads=HEADS)
    model.put("attention.layer_norm_epsilon", 1e-5)
    model.put("rope.dimension_count", HEAD // 2)
    model.ends()
    model.bias("output_norm", WIDTH)
    model.bias("output", VOCABULARY)
    for layer in model.blocks():
        model.norm(f"{layer}.attn_norm")
        model.bias(f"{layer}.attn_norm", WIDTH)
        for name, rows, cols in (
            ("attn_qkv", 3 * WIDTH, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):
            model.matrix(f"{layer}.{name}", rows, cols)
            model.bias(f"{layer}.{name}", rows)
    return model


def phi3():
    model = Model("phi3")
    model.put("attention.layer_norm_rms_epsilon", 1e-5)
    model.put("attention.sliding_window", 128)
    model.put("rope.dimension_count", HEAD)
    model.ends()
    for layer in model.blocks():
        model.layer_norms(layer)
        model.matrix(f"{layer}.attn_qkv", (HEADS + 2 * KV_HEADS) * HEAD, WIDTH)
        model.matrix(f"{layer}.attn_output", WIDTH, HEADS * HEAD)
        model.fused(layer)
    return model


def gemma3():
    model = Model("gemma3", layers=7)
    model.put("attention.layer_norm_rms_epsilon", 1e-6)
    model.put("attention.key_length", HEAD)
    model.put("attention.value_length", HEAD)
    model.put("attention.sliding_window", 128)
    model.put("rope.freq_base", 1000000.0)
    model.ends(tied=True)
    for layer in model.blocks():
        model.layer_norms(layer, "post_attention_norm", "post_ffw_norm")
        model.attention(layer)
        model.head_norms(layer)
        model.gated(layer)
    return model


def glm4():
    model = Model("glm4")
    model.put("attention.layer_norm_rms_epsilon", 1e-5)
    model.put("attention.key_length", HEAD)
    model.put("attention.value_length", HEAD)
    model.put("rope.dimension_count", HEAD // 2)
    model.ends()
    for layer in model.blocks():
        model.layer_norms(layer, "post_attention_norm", "post_ffw_norm")
        model.attention(layer)
        model.fused(layer)
    return model


def lfm2():
    model = Model("lfm2", layers=3, kv_heads=[0, KV_HEADS, 0])
    model.put("attention.layer_norm_rms_epsilon", 1e-5)
    model.put("shortconv.l_cache", 3)
    model.ends(tied=True, norm="token_embd_norm")
    for i, layer in enumerate(model.blocks()):
        model.layer_norms(layer)
        if i == 1:
            model.attention(layer)
            model.head_norms(layer)
        else:
            model.matrix(f"{layer}.shortconv.in_proj", 3 * WIDTH, WIDTH)
            model.matrix(f"{layer}.shortconv.out_proj", WIDTH, WIDTH)
            model.matrix(f"{layer}.shortconv.conv", WIDTH, 3, 0.5)
        model.gated(layer)
    return model


def write(model, path):
    writer = gguf.GGUFWriter(path, model.architecture)
    writer.add_uint32(f"{model.architecture}.vocab_size", VOCABULARY)
    writer.add_string("tokenizer.ggml.model", "no_vocab")
    for key, value in model.metadata.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    for i, tensor in enumerate(model.tensors):
        count = int(np.prod(tensor["shape"]))
        values = weights(i + 1, count, tensor["scale"], tensor["offset"])
        writer.add_tensor(tensor["name"], values.reshape(tensor["shape"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(path):
    model = llama_cpp.Llama(
        model_path=str(path), n_ctx=256, n_batch=256, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False
    )
    model.eval(TOKENS)
    return [[round(float(value), 5) for value in model.scores[i]] for i in SHOWN]


def main():
    models = {}
    for build in llama, qwen2, qwen3, phi2, phi3, gemma3, glm4, lfm2:
        model = build()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tiny.gguf"
            write(model, path)
            expected = logits(path)
        models[model.architecture] = {"metadata": model.metadata, "tensors": model.tensors, "logits": expected}
        print(f"{model.architecture}: {len(model.tensors)} tensors, largest logit {np.abs(expected).max():.3f}")
    content = {
        "llama_cpp_python": llama_cpp.__version__,
        "vocabulary": VOCABULARY,
        "tokens": TOKENS,
        "positions": SHOWN,
        "models": models,
    }
    (HERE / "architectures.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

"""Writes a GGUF in the shape of a known model, with random weights: for speed and memory, not for what it says.

    synthetic.py SHAPE FORMAT OUT.gguf

SHAPE is one of SHAPES below, FORMAT Q4_0 or Q4_K_M. Weights are random blocks of the format with a mean of zero and a standard
deviation of some 0.02, as trained ones have. Which tensor gets which format is what llama.cpp's quantizer does by default: a tied
embedding is Q6_K, and in Q4_K_M so are the values and the second matrix of the feed-forward block of half of the layers. The
tokenizer is byte-level BPE with one token for each byte, a few merges, and filler.
"""

import os
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

import progress

# Layers, width, feed-forward width, heads, heads for keys and values, width of a head, tokens; the published configurations.
SHAPES = {
    "llama-1b": ("llama", "llama-bpe", 16, 2048, 8192, 32, 8, 64, 128256),
    "llama-3b": ("llama", "llama-bpe", 28, 3072, 8192, 24, 8, 128, 128256),
    "qwen-1.5b": ("qwen2", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936),
}
SPREAD = 0.02
MERGES = ["Ġ t", "h e", "Ġt he", "i n", "Ġ a"]
NORMAL, CONTROL, UNUSED = 1, 3, 5


def alphabet():
    """The character that stands for each byte in GPT-2's vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def half(value, count):
    return np.full((count, 1), value, np.float16).view(np.uint8)


def q4_0(random, count):
    """Blocks of 32: a scale in f16, then codes 0 to 15 that stand for -8 to 7; without the lowest, or the mean is not zero."""
    low, high = random.integers(1, 16, (2, count, 16), np.uint8)
    return np.hstack([half(SPREAD / 4.3, count), low | high << 4])


def q4_k(random, count):
    """Blocks of 256: scales of the scales and of the minima in f16, 8 of each in 6 bits, codes 0 to 15."""
    scales = random.integers(16, 64, (count, 8), np.uint8)
    # Scales and minima alike, so that with 7.5 times the scale for a minimum the mean is zero.
    low, high = scales[:, :4], scales[:, 4:]
    first = low | (high >> 4) << 6
    packed = np.hstack([first, first, (high & 15) | (high & 15) << 4])
    scale = SPREAD / 4.6 / 40
    codes = random.integers(0, 256, (count, 128), np.uint8)
    return np.hstack([half(scale, count), half(7.5 * scale, count), packed, codes])


def q6_k(random, count):
    """Blocks of 256: codes of 6 bits that stand for -32 to 31, 16 scales in 8 bits, and their scale in f16."""
    codes = random.integers(0, 256, (count, 192), np.uint8)
    scales = random.integers(8, 24, (count, 16), np.uint8)
    return np.hstack([codes, scales, half(SPREAD / 18.5 / 16, count)])


BLOCKS = {Kind.Q4_0: q4_0, Kind.Q4_K: q4_k, Kind.Q6_K: q6_k}


def tensors(shape, form):
    """Name, shape (rows first) and format of every tensor."""
    _, _, layers, width, inner, heads, kv_heads, head, tokens = SHAPES[shape]
    yield "token_embd.weight", (tokens, width), Kind.Q6_K
    yield "output_norm.weight", (width,), Kind.F32
    most = Kind.Q4_0 if form == "Q4_0" else Kind.Q4_K
    for layer in range(layers):
        # llama.cpp, src/llama-quant.cpp, `use_more_bits`.
        more = layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
        finer = Kind.Q6_K if form == "Q4_K_M" and more else most
        for name, rows, cols, kind in (
            ("attn_q", heads * head, width, most),
            ("attn_k", kv_heads * head, width, most),
            ("attn_v", kv_heads * head, width, finer),
            ("attn_output", width, heads * head, most),
            ("ffn_gate", inner, width, most),
            ("ffn_up", inner, width, most),
            ("ffn_down", width, inner, finer),
        ):
            yield f"blk.{layer}.{name}.weight", (rows, cols), kind
            if shape.startswith("qwen") and name in ("attn_q", "attn_k", "attn_v"):
                yield f"blk.{layer}.{name}.bias", (rows,), Kind.F32
        yield f"blk.{layer}.attn_norm.weight", (width,), Kind.F32
        yield f"blk.{layer}.ffn_norm.weight", (width,), Kind.F32


def metadata(writer, shape):
    architecture, pre, layers, width, inner, heads, kv_heads, head, tokens = SHAPES[shape]
    writer.add_name(f"Random weights in the shape of {shape}")
    writer.add_vocab_size(tokens)
    writer.add_context_length(32768)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(1000000.0 if architecture == "qwen2" else 500000.0)
    writer.add_layer_norm_rms_eps(1e-6 if architecture == "qwen2" else 1e-5)

    pieces = alphabet() + [merge.replace(" ", "") for merge in MERGES]
    kinds = [NORMAL] * len(pieces)
    end = len(pieces)
    pieces.append("<|end|>")
    kinds.append(CONTROL)
    filler = tokens - len(pieces)
    pieces += [f"<|unused_{i}|>" for i in range(filler)]
    kinds += [UNUSED] * filler
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def values(random, dimensions, kind, name):
    """The bytes of a tensor; norms are around one, biases around zero."""
    if kind == Kind.F32:
        mean = 1.0 if "norm" in name else 0.0
        return random.normal(mean, SPREAD, dimensions).astype(np.float32)
    rows, cols = dimensions
    elements, _ = gguf.GGML_QUANT_SIZES[kind]
    return BLOCKS[kind](random, rows * cols // elements).reshape(rows, -1)


def main():
    shape, form, target = sys.argv[1:]
    all_tensors = list(tensors(shape, form))
    # Renamed when it is whole, so that a file that was cut short is not taken for a finished one.
    part = f"{target}.part"
    writer = gguf.GGUFWriter(part, SHAPES[shape][0])
    metadata(writer, shape)
    total = 0
    for name, dimensions, kind in all_tensors:
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = int(np.prod(dimensions)) // elements * size
        total += count
        if kind == Kind.F32:
            writer.add_tensor_info(name, dimensions, np.dtype(np.float32), count)
        else:
            row = (dimensions[0], dimensions[1] // elements * size)
            writer.add_tensor_info(name, row, np.dtype(np.uint8), count, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(1)
    done = 0
    for name, dimensions, kind in all_tensors:
        data = values(random, dimensions, kind, name)
        writer.write_tensor_data(data)
        done += data.nbytes
        progress.show(f"writing {os.path.basename(target)}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
    progress.end()
    writer.close()
    os.replace(part, target)


main()

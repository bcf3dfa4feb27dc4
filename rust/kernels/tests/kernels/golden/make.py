"""Writes the vectors described in README.md, next to this file."""

from pathlib import Path

import gguf
import numpy as np

ROWS, COLS = 2, 256
# Where the f16 scales lie in a block.
SCALES = {
    "F16": [], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

rng = np.random.default_rng(2026)
for name, offsets in SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    if offsets:
        blocks = rng.integers(0, 256, (ROWS * COLS // block, block_bytes), dtype=np.uint8)
        for at in offsets:
            scales = rng.normal(0, 0.1, len(blocks)).astype("<f2")
            blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    else:
        halves = rng.normal(0, 1, ROWS * COLS).astype("<f4")
        halves = halves.astype("<f2").view("<u2") if name == "F16" else (halves.view("<u4") >> 16).astype("<u2")
        blocks = halves.view(np.uint8)
    source = blocks.reshape(ROWS, -1)
    values = gguf.quants.dequantize(source, kind).astype("<f4")
    assert values.shape == (ROWS, COLS)
    (Path(__file__).parent / f"{name}.bin").write_bytes(source.tobytes() + values.tobytes())

"""Quantizes a GGUF anew with llama.cpp's own quantizer, as `llama-quantize --allow-requantize` does.

    requantize.py FILE.gguf FORMAT OUT.gguf

FORMAT is Q4_0 or Q4_K_M. Which tensors get another format is llama.cpp's choice: of a tied embedding it makes Q6_K.
"""

import ctypes
import os
import re
import sys

import llama_cpp

import progress


@llama_cpp.llama_log_callback
def log(level, text, user_data):
    """Of all that llama.cpp tells about every tensor, which one of how many it is at."""
    if at := re.match(rb"\[ *(\d+)/ *(\d+)\]", text):
        progress.show(f"quantizing tensor {int(at[1])} of {int(at[2])}")


def main():
    llama_cpp.llama_log_set(log, None)
    source, form, target = sys.argv[1:]
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{form}")
    params.allow_requantize = True
    # Renamed when it is whole, so that a file that was cut short is not taken for a finished one.
    part = f"{target}.part"
    if llama_cpp.llama_model_quantize(source.encode(), part.encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp cannot quantize {source}")
    progress.end()
    os.replace(part, target)


main()

"""Quantizes a GGUF anew with llama.cpp's own quantizer, as `llama-quantize --allow-requantize` does.

    requantize.py FILE.gguf FORMAT OUT.gguf

FORMAT is Q4_0 or Q4_K_M. Which tensors get another format is llama.cpp's choice: of a tied embedding it makes Q6_K.
"""

import ctypes
import os
import sys

import llama_cpp


def main():
    source, form, target = sys.argv[1:]
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{form}")
    params.allow_requantize = True
    # Renamed when it is whole, so that a file that was cut short is not taken for a finished one.
    part = f"{target}.part"
    if llama_cpp.llama_model_quantize(source.encode(), part.encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp cannot quantize {source}")
    os.replace(part, target)


main()

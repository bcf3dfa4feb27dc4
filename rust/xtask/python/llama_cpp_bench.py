"""Measures llama.cpp as `nibble bench` measures Nibble, and prints the same keys of JSON.

    llama_cpp_bench.py FILE.gguf --threads N --prompt N --generate N --repeat N

Prefill is one prompt of N tokens into an empty cache; decode is N tokens after it, one at a time, each the most probable
one. Speeds are the median of the repeats. The context has llama.cpp's defaults for the CPU. Memory is what the process takes
beyond what Python took before the model was loaded; null where the system does not tell.
"""

import argparse
import json
import signal
import statistics
import time

import llama_cpp
import numpy as np

TEXT = "The old mill by the river had stood empty for years when, one wet spring, two sisters bought it. "


def kilobytes(file, key):
    """The number after `key` in a file of this process in Linux's procfs."""
    try:
        with open(f"/proc/self/{file}") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return None


def megabytes(after, before):
    """10^6 bytes that were added."""
    return None if after is None or before is None else (after - before) * 1024 / 1e6


def main():
    # Ctrl-C ends it within a computation, and without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    for name in ("threads", "prompt", "generate", "repeat"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()

    resident, dirty = kilobytes("status", "VmRSS:"), kilobytes("smaps_rollup", "Private_Dirty:")
    model_params = llama_cpp.llama_model_default_params()
    model_params.n_gpu_layers = 0
    start = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(options.file.encode(), model_params)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {options.file}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = options.prompt + options.generate
    params.n_threads = params.n_threads_batch = options.threads
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise SystemExit("llama.cpp cannot make a context")
    load = time.perf_counter() - start

    vocabulary = llama_cpp.llama_model_get_vocab(model)
    size = llama_cpp.llama_vocab_n_tokens(vocabulary)
    memory = llama_cpp.llama_get_memory(context)

    text = TEXT.encode()
    cycle = (llama_cpp.llama_token * len(text))()
    count = llama_cpp.llama_tokenize(vocabulary, text, len(text), cycle, len(cycle), False, False)
    prompt = (llama_cpp.llama_token * options.prompt)(*(cycle[i % count] for i in range(options.prompt)))

    def decode(tokens):
        """Computes the tokens and returns the most probable next one."""
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(tokens))) != 0:
            raise SystemExit("llama.cpp cannot decode")
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (size,))
        return int(logits.argmax())

    def prefill():
        llama_cpp.llama_memory_clear(memory, True)
        # The batch holds at most n_batch tokens a call.
        limit = llama_cpp.llama_n_batch(context)
        for at in range(0, len(prompt), limit):
            part = prompt[at : at + limit]
            following = decode((llama_cpp.llama_token * len(part))(*part))
        return following

    def measure():
        start = time.perf_counter()
        following = prefill()
        middle = time.perf_counter()
        for _ in range(options.generate):
            following = decode((llama_cpp.llama_token * 1)(following))
        end = time.perf_counter()
        return options.prompt / (middle - start), options.generate / (end - middle)

    prefill_tps, decode_tps = map(statistics.median, zip(*(measure() for _ in range(options.repeat))))
    result = {
        "how": f"llama-cpp-python {llama_cpp.__version__}",
        "load_ms": load * 1e3,
        "prefill_tps": prefill_tps,
        "decode_tps": decode_tps,
        "rss_mb": megabytes(kilobytes("status", "VmHWM:"), resident),
        "dirty_mb": megabytes(kilobytes("smaps_rollup", "Private_Dirty:"), dirty),
    }
    print(json.dumps(result))


@llama_cpp.llama_log_callback
def ignore(level, text, user_data):
    """llama.cpp tells a lot about itself while it loads a model."""


llama_cpp.llama_log_set(ignore, None)
main()

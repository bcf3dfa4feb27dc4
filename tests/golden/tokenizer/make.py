"""Remakes the tokenizer's golden files: what llama.cpp makes of every line of the corpus.

    python make.py MODELS

takes the folder that holds the models, and writes beside this script what README.md describes. Needs llama-cpp-python
and gguf.
"""

import ctypes
import json
import pathlib
import random
import struct
import sys
import tempfile
import unicodedata

import gguf
import llama_cpp

HERE = pathlib.Path(__file__).parent
MODELS = {"smollm2-135m-instruct": "SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m": "gemma-3-270m-q4_k_m.gguf"}
HASH_EVERY = 3
# One name for every entry of the engine's table of pre-tokenizers.
KINDS = """default gpt-2 smollm llama-bpe smaug-bpe qwen2 qwen35 tekken gpt-4o deepseek-v3 deepseek-coder falcon bloom
    viking""".split()

ENGLISH = """Hey, are you still coming tonight?|I'm running about ten minutes late, sorry!|Can't talk now, call you later|
ok|lol|LOL that's hilarious|omg no way...|Thanks so much for yesterday :)|See you at 7:30pm then|I'll bring the wine if you've got glasses|
She said she'd've come if they'd told her|It's what it is; isn't it?|WHERE ARE YOU|where r u|brb, gtg|Happy birthday!!! Hope you have a great one|
The quick brown fox jumps over the lazy dog.|Please find attached the minutes of Tuesday's meeting.|Let me know what you think when you get a chance|
We could meet at the cafe near the station, the one with the blue door|Don’t forget: it’s Mum’s 60th on Saturday|“Really?” he asked. “Really,” she said—and left.|
I don't know what to say|That doesn't sound right to me|Would you mind sending me the address again?|No worries, take your time|
Running late\u2026 save me a seat|My flight got cancelled so I'm stuck in Frankfurt until tomorrow morning|Dinner was lovely, thank you both|
It was the best of plans, it was the worst of plans.|Photosynthesis converts light energy into chemical energy.|
the THE The tHe|antidisestablishmentarianism|unbelievably counterintuitive hyperparameters|naïve café façade coöperate résumé|
He scored 3 goals in 12 minutes, which isn't bad for a 40-year-old|A/B testing, TCP/IP and R&D|Mr. Smith went to Washington, D.C. (again)|
yes yes yes no no no|haaaaaappy|sooooo tired zzzzzz|ugh!!!??!|hmm... maybe? idk""".replace("\n", "").split("|")
SUBJECTS = "I we they she he you everyone nobody Anna my brother the neighbours our landlord".split()
VERBS = "went forgot wants'd like couldn't find wouldn't eat found lost bought saw needs will call might miss has seen".split()
OBJECTS = "the keys|a bus to town|that old film|your message|dinner|the train|another coffee|some sleep|the dog's lead|it".split("|")
TAILS = "yesterday|again!|tomorrow?|at 8|, I think|... whatever|, didn't they|right now|:-)|; sorry|on Monday 12/05|😂".split("|")
WORLD = """今天天气怎么样？我们去公园吧。|你好，世界！|我昨天买了三本书，一共花了128元。|繁體中文也要測試一下。|東京タワーに行きたいです。|
すみません、もう一度お願いします。|カタカナとひらがなと漢字|ｶﾀｶﾅ半角 Ｆｕｌｌｗｉｄｔｈ１２３|안녕하세요, 만나서 반갑습니다.|오늘 저녁에 시간 있어요?|
مرحبا، كيف حالك اليوم؟|السَّلَامُ عَلَيْكُمْ|شكراً جزيلاً على المساعدة ١٢٣٤|שלום, מה שלומך?|नमस्ते, आप कैसे हैं?|मैं कल दिल्ली जा रहा हूँ। १२३|আমি বাংলায় গান গাই|
สวัสดีครับ วันนี้อากาศดีมาก|ขอบคุณมากค่ะ ๑๒๓|தமிழ் மொழி அழகானது|ಕನ್ನಡ ಭಾಷೆ|తెలుగు మాట్లాడతాను|ქართული ენა|Հայերեն լեզու|አማርኛ ቋንቋ|
Привет, как дела?|Сегодня очень холодно, −15 °C|Γειά σου Κόσμε, τι κάνεις;|Xin chào, bạn khỏe không?|Hôm nay trời đẹp quá|Grüß Gott, schöne Straße|
Ça va très bien, merci à vous|¿Cómo estás? ¡Muy bien!|Não há problema, obrigação|Příliš žluťoučký kůň úpěl ďábelské ódy|Zażółć gęślą jaźń|
İstanbul'da hava nasıl?|Þetta er íslenska|Kā tev iet?|Djévojka je došla|ພາສາລາວ|မြန်မာဘာသာ|ភាសាខ្មែរ|བོད་སྐད|ᏣᎳᎩ|ⴰⵎⴰⵣⵉⵖ|e\u0301 a\u0308 n\u0303|Z͑ͫ̓a̴͝l̢g̕o͜""".replace("\n", "").split("|")
EMOJI = """😀 😂 🤣 ❤️ 👍 👍🏽 🙏🏿 🎉 🔥 ✨ 🥺 👨‍👩‍👧‍👦 👩🏽‍💻 🏳️‍🌈 🏴‍☠️ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇩🇪 🇯🇵 🇺🇳 1️⃣ #️⃣ *️⃣ ☺ ☺️ ☠︎ 🫠 🧑‍🤝‍🧑 👩‍❤️‍💋‍👨 🐈‍⬛ 😮‍💨 ❤️‍🔥 ♟️ ⌚ ™️ ©
    🤷🏻‍♀️ 👁️‍🗨️ 🧑🏾‍🚀 🫱🏻‍🫲🏿""".split()
CODE = """def f(x: int) -> str:\n    return f"{x:>8}"\n|for (int i = 0; i < n; ++i) { a[i] += b[i] * 2; }|let v: Vec<u32> = (0..10).map(|i| i * i).collect();|
fn main() {\n\tprintln!("hi {}", 1);\n}|SELECT * FROM users WHERE id = 42 AND name LIKE '%o''b%';|<div class="a b">x &amp; y</div>|<table><tr><td>1</td></tr></table>|
{"a": [1, 2, {"b": null}], "c": "\\u00e9\\n"}|git commit -m "fix: don't panic" && git push --force|if x != y and not z: pass  # comment|#include <stdio.h>\n#define MAX(a,b) ((a)>(b)?(a):(b))|
const f = async (x) => await g(`${x}`);|a=b==c!=d<=e>=f<<g>>h&&i||j|/* block */ // line|x = [[1,2],[3,4]][::-1]|\\frac{\\partial f}{\\partial x} = \\sum_{i=1}^{n} x_i^2|
$HOME/.config/x.toml|C:\\Users\\me\\file.txt|import os, sys\nfrom a.b import c as d\n\n\nclass A(B):\n    pass\n|- [x] done\n- [ ] open\n\n## Title\n\n> quote **bold** _it_ `code`|
<h1>T</h1><p>a<br/>b</p><code>x</code></s><b>z</b>|\t\tif (x)\n\t\t\treturn;\n|0xDEADBEEF 0b1010 1e-9 1_000_000|@decorator\n@a.b(c=1)|<?php echo $a->b["c"]; ?>""".replace("|\n", "|").split("|")
LINKS = """https://example.com/a/b?c=d&e=f#g|http://localhost:8080|www.example.org|mailto:someone@example.com|someone.else+tag@mail.example.co.uk|
ftp://files.example.net/pub/x.tar.gz|https://例え.jp/パス|#hashtag @mention|file:///etc/hosts|192.168.0.1:443|[::1]|2001:db8::ff00:42:8329""".replace("\n", "").split("|")
NUMBERS = """0|7|42|100|1234|12345|123456|1234567|1,234,567.89|3.14159265358979|-273.15|1/2 + 1/3|½ ¾ ²³ ¹⁰|Ⅳ ⅷ|१२३ ٤٥٦ ๗๘๙|１２３４|2026-11-21T09:45:00Z|
+49 (0)30 123456-78|€9.99|$1.000,00|50%|12:34:56|10^6|1e10|①②③|99 bottles|5G 4K 3D 2x|v1.2.3-rc.4|A4 B52 H2O CO₂|007""".replace("\n", "").split("|")
SPACES = [" ", "  ", "   ", "    ", "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\r\r", " \n", "\n ", "\n\t", "\u00a0", "\u2003",
          "\u3000", "\u2028", "\u2029", "\u0085", "\u200b", "\ufeff", "\u200d", "\u00ad", "\v", "\f", "\u1680", "\u202f"]
LOOKALIKES = """<|im_start|> <|im_end|> <|endoftext|> <bos> <eos> <pad> <unk> <mask> <unused0> <unused3> <unused99> <unused6241> <start_of_turn>
    <end_of_turn> <start_of_image> <end_of_image> [multimodal] <image_soft_token> <s> </s> <|eot_id|> <|begin_of_text|> <|start_header_id|>
    [INST] [/INST] <<SYS>> <repo_name> <file_sep> <filename> <gh_stars> <issue_start> <jupyter_code> <empty_output> <0x0A> <0x00> <0xFF>
    <0xE2><0x96><0x81> ▁ ▁the ▁▁ Ġ Ġthe Ċ <think> </think> <tool_call> <|assistant|> <|user|> <|end|>""".split()
NAMES = ["user", "assistant", "system", "model"]


def corpus():
    r = random.Random(20261121)
    lines = []

    def some(parts, low, high, between=" "):
        return between.join(r.choice(parts) for _ in range(r.randint(low, high)))

    def sentence():
        return f"{r.choice(SUBJECTS)} {r.choice(VERBS)} {r.choice(OBJECTS)} {r.choice(TAILS)}"

    everything = [ENGLISH, WORLD, EMOJI, CODE, LINKS, NUMBERS, SPACES, LOOKALIKES]
    for bank in everything:
        lines += bank
    lines += ["", " ", "a", "\0", "a\0b", "\0\0\0", "\ufffd", "\ufffe\uffff\ufdd0", "\U0010ffff", "\ue000\U000f0000\U00100000"]
    lines += [chr(c) for c in range(0x20)] + ["a" + chr(c) + "b" for c in [*range(0x20), *range(0x7F, 0xA1)]]
    lines += [sentence() for _ in range(220)]
    lines += [sentence() + " " + sentence().capitalize() for _ in range(80)]
    lines += [r.choice([str.upper, str.title, str.swapcase, str.capitalize])(sentence()) for _ in range(60)]
    # As a keyboard sees them: cut anywhere, with or without the space behind.
    for _ in range(200):
        line = r.choice([sentence(), r.choice(ENGLISH), r.choice(WORLD)])
        lines.append(line[: r.randint(0, len(line))] + r.choice(["", "", " "]))
    # As a conversation.
    for _ in range(60):
        lines.append("\n".join(f"{r.choice(NAMES).capitalize()}: {sentence()}" for _ in range(r.randint(2, 4))))
    lines += [some(EMOJI, 1, 8, r.choice(["", " "])) for _ in range(100)]
    lines += [r.choice(ENGLISH) + r.choice(["", " "]) + some(EMOJI, 1, 3, "") for _ in range(60)]
    lines += [some(WORLD, 2, 3, r.choice(["", " ", "\n"])) for _ in range(120)]
    lines += [some(CODE, 2, 3, "\n") for _ in range(60)]
    lines += [r.choice(ENGLISH) + " " + r.choice(LINKS) for _ in range(30)]
    for _ in range(120):
        digits = "".join(r.choice("0123456789") for _ in range(r.randint(1, 14)))
        lines.append(r.choice(["", "$", "a", "#", " ", "-", "x=", "№"]) + digits + r.choice(["", "%", ".5", ",000", "th", " km", "°", "\n"]))
    for _ in range(200):
        lines.append("".join(r.choice([r.choice(SPACES), r.choice(SPACES) * r.randint(1, 40), r.choice("ab.1Ü")]) for _ in range(r.randint(1, 8))))
    lines += [c * n for c in " \n\t" for n in (5, 16, 30, 31, 32, 33, 63, 64, 100)]
    for _ in range(240):
        a, b = r.choice(LOOKALIKES), r.choice(LOOKALIKES)
        cut = a[: r.randint(1, len(a))] + r.choice(["", a[r.randint(0, len(a) - 1):], b])
        lines.append(r.choice([a + b, "x" + a + "y", f"{a}{r.choice(NAMES)}\n{sentence()}{b}", cut, " " + a, a + " ", a * 3, a.upper()]))
    lines += ["a" * 300, "ab" * 200, "x" * 999 + "y", "é" * 200, "字" * 150, "👍" * 60, "-" * 200, "=" * 77, "0" * 100, "ha" * 50 + "!" * 50,
              "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
              "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(500))]
    # Any characters at all, by block so that neighbours are of one script; only those that every Unicode table knows.
    for _ in range(200):
        start = r.choice([*range(0, 0x3400, 0x80), *range(0xA000, 0xD800, 0x200), *range(0xF900, 0x10000, 0x80), *range(0x10000, 0x1FB00, 0x200)])
        block = [chr(c) for c in range(start, start + 0x80) if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs")]
        if block:
            lines.append("".join(r.choice(block + [" "]) for _ in range(r.randint(1, 16))))
    for _ in range(250):
        lines.append("".join(r.choice(r.choice(everything)) + r.choice(["", " ", "\n", "'s "]) for _ in range(r.randint(2, 6))))
    return lines


def fnv(tokens):
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(tokens)}I", *tokens):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def tokenizer(path):
    """A function from a text to its tokens by llama.cpp."""
    llama_cpp.llama_log_set(QUIET, None)
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    assert model, f"llama.cpp cannot read {path}"
    vocab = llama_cpp.llama_model_get_vocab(model)

    def tokenize(text, parse_special):
        data = text.encode()
        room = 2 * len(data) + 8  # a space may be added after every special token
        tokens = (llama_cpp.llama_token * room)()
        n = llama_cpp.llama_tokenize(vocab, data, len(data), tokens, room, False, parse_special)
        assert n >= 0
        return list(tokens[:n])

    return tokenize


QUIET = llama_cpp.llama_log_callback(lambda level, text, data: None)


def metadata(path):
    """The metadata of the GGUF at `path`: name to (value, kind, kind of the elements if it is an array)."""
    fields = gguf.GGUFReader(path).fields
    array = gguf.GGUFValueType.ARRAY
    return {
        name: (field.contents(), field.types[0], field.types[-1] if field.types[0] == array else None)
        for name, field in fields.items()
        if not name.startswith("GGUF.")
    }


def with_metadata(original, changes, path):
    """Writes the GGUF `path`: the metadata `original` with `changes`, without tensors."""
    writer = gguf.GGUFWriter(path, original["general.architecture"][0])
    for name, (value, kind, of) in original.items():
        if name != "general.architecture" and name not in changes:
            writer.add_key_value(name, value, kind, of)
    for name, value in changes.items():
        kind = gguf.GGUFValueType.BOOL if isinstance(value, bool) else gguf.GGUFValueType.STRING
        writer.add_key_value(name, value, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main(folder):
    lines = corpus()
    (HERE / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name, file in MODELS.items():
        path = pathlib.Path(folder) / file
        tokenize = tokenizer(path)
        with open(HERE / f"{name}.txt", "w") as out:
            for line in lines:
                out.write(" ".join([fnv(tokenize(line, True)), *map(str, tokenize(line, False))]) + "\n")
        original = metadata(path)
        if original["tokenizer.ggml.model"][0] == "gpt2":
            variants = {kind: {"tokenizer.ggml.pre": kind} for kind in KINDS}
        else:
            variants = {"add_space_prefix": {"tokenizer.ggml.add_space_prefix": True}}
        with open(HERE / f"{name}.variants.txt", "w") as out, tempfile.TemporaryDirectory() as temporary:
            for variant, changes in variants.items():
                changed = pathlib.Path(temporary) / "variant.gguf"
                with_metadata(original, changes, changed)
                tokenize = tokenizer(changed)
                out.write(" ".join([variant, *(fnv(tokenize(line, False)) for line in lines[::HASH_EVERY])]) + "\n")
        print(f"{name}: {len(lines)} lines")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

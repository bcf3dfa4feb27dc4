"""Runs the conformance suite through the Python API, and what else is tested of it; tests/conformance/README.md says what the
suite's cases mean."""

import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

import nibble

ROOT = pathlib.Path(__file__).resolve().parents[3]
SUITE = json.loads((ROOT / "tests/conformance/smollm2-135m-instruct.json").read_text(encoding="utf-8"))
EMOJI = ROOT / "tests/conformance/emoji-en.fst"
BASE = ROOT / "tests/conformance/base.gguf"
WORDS = {language: ROOT / f"tests/conformance/words-{language}.fst" for language in ("en", "de")}
MODEL = os.environ["NIBBLE_TEST_MODEL"]


def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def arguments(case):
    """What `Session.generate` takes beside the prompt."""
    stop = case.get("stop", {})
    return {**case.get("sampling", {}), "max_tokens": stop.get("max_tokens"), "stop": stop.get("strings", [])}


def written(generation):
    pieces = list(generation)
    return {
        "tokens": [piece.token for piece in pieces],
        "pieces": [piece.text for piece in pieces if piece.text],
        "finish": generation.finish.name.lower(),
    }


def listed(learned):
    """The words of a store, the most written first."""
    return [word.word for word in learned.list()]


def layout(given):
    return given if isinstance(given, str) else [nibble.Key(**key) for key in given]


def turns(case):
    return [nibble.Turn(**turn) for turn in case["chat"]]


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = nibble.open(MODEL)

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def check(self, case):
        try:
            found = getattr(self, case["call"])(case)
        except nibble.NibbleError as error:
            found = {"error": snake(type(error).__name__)}
            if isinstance(error, nibble.NibbleError.MemoryLimit):
                found["fitting_context"] = error.fitting_context
        self.assertEqual(found, case["expect"])

    def session(self, **options):
        return self.model.session(context=256, **options)

    def info(self, case):
        return {key: getattr(self.model.info, key) for key in case["expect"]}

    def tokenize(self, case):
        tokens = self.model.tokenize(case["text"])
        self.assertEqual(self.model.detokenize(tokens), case["text"])
        return {"tokens": tokens}

    def generate(self, case):
        with self.session() as session:
            return written(session.generate(case["prompt"], **arguments(case)))

    def chat(self, case):
        messages = [nibble.Message(**message) for message in case["messages"]]
        with self.session() as session:
            return written(session.chat(messages, **arguments(case)))

    def cancel(self, case):
        with self.session() as session:
            generation = session.generate(case["prompt"], **arguments(case))
            tokens = [next(generation).token for _ in range(case["after"])]
            generation.cancel()
            with self.assertRaises(nibble.NibbleError.Cancelled) as cancelled:
                next(generation)
            again = written(session.generate(case["prompt"], **arguments(case)))
            error = snake(type(cancelled.exception).__name__)
            return {"tokens": tokens, "error": error, "again": again["tokens"]}

    def keyboard(self, case):
        def strip(key):
            if "layout" in key:
                keyboard.set_layout(layout(key["layout"]))
            # What a case does not say is what the API takes for itself.
            more = {"gate": case["gate"]} if "gate" in case else {}
            if "field" in key:
                more["field"] = nibble.Field[key["field"].upper()]
            found = keyboard.suggest(
                key["context"], key["typed"], case["count"], touches=key.get("touches", []), **more
            )
            return {
                "words": [suggestion.word for suggestion in found.suggestions],
                "kinds": [suggestion.kind.name.lower() for suggestion in found.suggestions],
                "replaces": found.replaces,
                "proven": found.proven,
                "autocorrect": found.autocorrect,
            }

        with self.open_keyboard(case) as keyboard:
            return {"strips": [strip(key) for key in case["keys"]]}

    def open_keyboard(self, case, **more):
        if "languages" in case:
            more["languages"] = case["languages"]
            more["lexicons"] = [nibble.open_lexicon(WORDS[language]) for language in case["languages"]]
        return self.model.keyboard(layout=layout(case.get("layout", "qwerty")), **more)

    def typing(self, case):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "learned")
            with nibble.open_learned_words(path) as learned:
                texts = self.typed(case, learned)
            with nibble.open_learned_words(path) as learned:
                return {"texts": texts, "learned": listed(learned)}

    def typed(self, case, learned):
        """What stands in the fields of a case after each step."""
        texts = []
        with self.open_keyboard(case, learned=learned) as keyboard:
            for part in case["fields"]:
                text = part.get("before", "")
                field = nibble.Field[part.get("field", "text").upper()]
                with keyboard.start(field, text, part.get("after", "")) as typing:
                    for step in part["steps"]:
                        text = self.after(text, step, typing)
                        texts.append(text)
        return texts

    def learned(self, case):
        with nibble.learned_words_in_memory() as learned, nibble.learned_words_in_memory() as copy:
            self.typed(case, learned)
            added = [learned.add_word(word) for word in case["add"]]
            words = listed(learned)
            forgotten = learned.forget(case["forget"])
            copy.add(learned.export())
            left = listed(learned)
            learned.wipe()
            return {
                "added": added,
                "words": words,
                "forgotten": forgotten,
                "left": left,
                "copied": listed(copy),
                "kept": [word.word for word in copy.list() if word.added],
                "wiped": listed(learned),
            }

    def snapshot(self, case):
        with tempfile.TemporaryDirectory() as folder, self.session() as session, self.session() as other:
            path = pathlib.Path(folder, "snapshot")
            written(session.generate(case["prompt"], **arguments(case)))
            session.save_snapshot(path)
            restored = other.restore_snapshot(path)
            return {**written(other.generate(case["prompt"], **arguments(case))), "restored": restored}

    def emoji(self, case):
        return {"emoji": nibble.open_emoji(EMOJI).suggest(case["text"], case["count"])}

    def after(self, text, step, typing):
        """The text after a step of a case."""

        def apply(text, edit):
            self.assertTrue(text.endswith(edit.delete))
            return text.removesuffix(edit.delete) + edit.insert

        for key in step.get("keys", ""):
            text = apply(text, typing.key(key))
        if "end" in step:
            typing.refine()
            text = apply(text, typing.key(step["end"]))
        if "accept" in step:
            strip = typing.refine()
            text = apply(text, typing.accept(strip, strip.suggestions[step["accept"]]))
        if step.get("accept_ahead"):
            strip = typing.refine()
            text = apply(text, typing.accept(strip, typing.look_ahead()))
        for _ in range(step.get("backspace", 0)):
            text = apply(text, typing.backspace())
        if "reported" in step:
            typing.reported(step["reported"])
        return text

    def replies(self, case):
        with self.model.replier() as replier:
            found = replier.suggest(turns(case), case["count"])
        return {
            "replies": [{"text": reply.text, "intent": reply.intent} for reply in found.replies],
            "silence": found.silence and found.silence.name.lower(),
        }

    def close_json(self, case):
        return {"closed": nibble.close_json(case["text"])}

    def draft(self, case):
        with self.model.replier() as replier:
            return written(replier.draft(turns(case), **case.get("sampling", {})))

    def error(self, case):
        SITUATIONS[case["of"]](self)
        self.fail("nothing went wrong")


def head():
    with open(MODEL, "rb") as file:
        return bytearray(file.read(65_536))


def newer():
    data = head()
    data[8] = 99
    return data


def opened(data, open_file=nibble.open):
    """Opens a file of these bytes."""

    def provoke(_):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "changed")
            path.write_bytes(data())
            open_file(path)

    return provoke


def closed(make, use):
    """Uses an object after its close."""

    def provoke(test):
        thing = make(test)
        thing.close()
        use(thing)

    return provoke


def packed(data):
    """Packs a file of these bytes."""
    return opened(lambda: data, lambda path: nibble.pack(path, path.with_name("packed")))


def gguf(version):
    """How a GGUF of this version begins."""
    return b"GGUF" + version.to_bytes(4, "little") + bytes(16)


def of_another_cache(test):
    with tempfile.TemporaryDirectory() as folder, test.session() as session:
        path = pathlib.Path(folder, "snapshot")
        session.generate("Hello", max_tokens=1).text()
        session.save_snapshot(path)
        with test.session(kv_cache=nibble.KvCache.Q8) as other:
            other.restore_snapshot(path)


def chat_with_base(path):
    packed = path.with_name("packed")
    nibble.pack(path, packed)
    with nibble.open(packed) as model, model.session() as session:
        next(session.chat([nibble.Message(role="user", content="Hello")]))


def superseded(test):
    with test.model.keyboard() as keyboard:
        # What two threads do that ask one after the other and compute the other way round.
        older, _newer = keyboard._native.ticket(), keyboard._native.ticket()
        keyboard._native.suggest(older, nibble._request("", "h", 3))


def overlapping(test):
    with test.model.keyboard() as keyboard:
        keyboard.set_layout([nibble.Key(key=key, x=0, y=0, width=1, height=1) for key in "ab"])


def two_within_the_limit_of_one(test):
    limit = test.model.memory_plan(context=256).session
    with nibble.open(MODEL, memory_limit=limit) as model, model.session(context=256):
        model.session(context=256)


TURN = nibble.Turn(from_me=False, text="Are you coming?")
SITUATIONS = {
    "missing file": lambda test: nibble.open("no/such/file.nibble"),
    "empty file": opened(lambda: b""),
    "foreign file": opened(lambda: bytes([120]) * 20_000),
    "cut file": opened(head),
    "newer file": opened(newer),
    "another model": lambda test: nibble.open(MODEL, source_sha256="0" * 64),
    "closed model": closed(lambda test: nibble.open(MODEL), lambda model: model.tokenize("Hello")),
    "closed session": closed(lambda test: test.session(), lambda session: next(session.generate("Hello"))),
    "closed generation": closed(lambda test: test.session().generate("Hello"), next),
    "closed keyboard": closed(lambda test: test.model.keyboard(), lambda keyboard: keyboard.suggest("", "h")),
    "closed replier": closed(lambda test: test.model.replier(), lambda replier: replier.suggest([TURN])),
    "superseded": superseded,
    "foreign learned words": opened(lambda: bytes([120]) * 20_000, nibble.open_learned_words),
    "bad key": opened(lambda: bytes([120]) * 20_000, lambda path: nibble.open_learned_words(path, key=bytes(31))),
    "missing word list": lambda test: nibble.open_lexicon("no/such/file.fst"),
    "foreign word list": opened(lambda: bytes([120]) * 20_000, nibble.open_lexicon),
    "cut word list": opened(lambda: WORDS["en"].read_bytes()[:1_000], nibble.open_lexicon),
    "foreign emoji list": opened(lambda: bytes([120]) * 20_000, nibble.open_emoji),
    "folder": lambda test: nibble.open(ROOT),
    "newer source": packed(gguf(9)),
    "cut source": packed(gguf(3)[:20]),
    "no chat template": opened(BASE.read_bytes, chat_with_base),
    "missing snapshot": lambda test: test.session().restore_snapshot("no/such/snapshot"),
    "foreign snapshot": lambda test: opened(lambda: bytes([120]) * 20_000, test.session().restore_snapshot)(test),
    "snapshot of another cache": of_another_cache,
    "foreign export": lambda test: nibble.learned_words_in_memory().add("words"),
    "too many touches": lambda test: test.model.keyboard().suggest("", "h", touches=[(0, 0), (0, 0)]),
    "overlapping keys": overlapping,
    "unnamed language": lambda test: test.model.keyboard(lexicons=[nibble.open_lexicon(WORDS["en"])] * 2),
    "context overflow": lambda test: next(test.session().generate("word " * 500)),
    "memory limit": lambda test: test.session(memory_limit=1),
    "tight memory limit": lambda test: test.session(memory_limit=test.model.memory_plan(context=256).session - 1),
    "memory limit of the model": two_within_the_limit_of_one,
    "bad sampling": lambda test: next(test.session().generate("Hello", temperature=-1.0)),
    "bad schema": lambda test: next(test.session().generate("Hello", schema={"oneOf": []})),
    "empty stop": lambda test: next(test.session().generate("Hello", stop=[""])),
    "empty context": lambda test: test.model.session(context=0),
    "unknown token": lambda test: test.model.detokenize([4_000_000_000]),
}

for number, case in enumerate(SUITE["cases"]):
    setattr(
        Conformance,
        f"test_{number:02}_{re.sub('[^a-z0-9]+', '_', case['name'].lower())}",
        lambda test, case=case: test.check(case),
    )

if __name__ == "__main__":
    tests = unittest.defaultTestLoader.loadTestsFromNames(["__main__", "test_files"])
    result = unittest.TextTestRunner().run(tests)
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    # In the form in which the tests of all languages are counted.
    print(
        f"test result: {'ok' if result.wasSuccessful() else 'FAILED'}."
        f" {result.testsRun - failed - skipped} passed; {failed} failed; {skipped} ignored"
    )
    sys.exit(not result.wasSuccessful())

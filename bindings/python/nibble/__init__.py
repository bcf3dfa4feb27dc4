"""Small language models on the CPU: text, chats, keyboard prediction and message replies, offline.

    import nibble

    with nibble.open("model.nibble") as model, model.session() as session:
        for piece in session.generate("The capital of France is", max_tokens=8):
            print(piece.text, end="", flush=True)

The same engine as in the Android and iOS SDKs, for evaluation and notebooks: the same tokens, to the last one. Everything that
can go wrong is a `NibbleError`; its subclasses (`NibbleError.Closed`, `NibbleError.ContextOverflow`, ...) say what. Calls
release the interpreter's lock while they compute, and every object may be used from several threads.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol, Union

from . import _ffi
from ._ffi import (
    ByteRange,
    Edit,
    Field,
    Finish,
    InstalledModel,
    Key,
    KvCache,
    LearnedWord,
    LogLevel,
    Manifest,
    MemoryPlan,
    MemoryPressure,
    Message,
    ModelInfo,
    NibbleError,
    Overflow,
    PackProgress,
    Piece,
    PowerState,
    Priority,
    Replies,
    Reply,
    SilenceReason,
    Strip,
    Suggestion,
    SuggestionKind,
    Suggestions,
    Turn,
    close_json,
    set_log_level,
    set_power_state,
    version,
)

__all__ = [
    "ByteRange",
    "Download",
    "Edit",
    "EmojiList",
    "Field",
    "Finish",
    "Generation",
    "InstalledModel",
    "Key",
    "Keyboard",
    "KvCache",
    "LearnedWord",
    "LearnedWords",
    "Lexicon",
    "LogLevel",
    "Manifest",
    "MemoryPlan",
    "MemoryPressure",
    "Message",
    "Model",
    "ModelInfo",
    "ModelStore",
    "NibbleError",
    "Overflow",
    "PackProgress",
    "Part",
    "Piece",
    "PowerState",
    "Priority",
    "Replier",
    "Replies",
    "Reply",
    "Session",
    "SilenceReason",
    "Strip",
    "Suggestion",
    "SuggestionKind",
    "Suggestions",
    "Turn",
    "TypingSession",
    "close_json",
    "learned_words_in_memory",
    "memory_plan",
    "open",
    "open_emoji",
    "open_learned_words",
    "open_lexicon",
    "pack",
    "set_log_level",
    "set_power_state",
    "version",
]


def _fault(_: str) -> NibbleError:
    """What the bindings raise where the library panics. What the panic says is left out: it may quote a text."""
    return NibbleError.Internal("Nibble met a fault of its own; please report which call it was")


_ffi.InternalError = _fault


class _Opened(Protocol):
    def fileno(self) -> int: ...


@dataclass(frozen=True)
class Part:
    """Bytes of an open file, such as a model that lies in an archive uncompressed: it is mapped from there, not copied. A model
    begins on a multiple of 4 bytes, as archives of apps are made, and is read fastest from a multiple of 64.

    `file` is what `open` gives, or a descriptor; it is yours, and may be closed as soon as the part was opened.
    """

    file: int | _Opened
    offset: int
    length: int


_Source = Union[str, "os.PathLike[str]", Part]


def _open(source: _Source, by_path: Callable[..., Any], by_descriptor: Callable[..., Any], *rest: Any) -> Any:
    if not isinstance(source, Part):
        return by_path(os.fspath(source), *rest)
    descriptor = source.file if isinstance(source.file, int) else source.file.fileno()
    return by_descriptor(descriptor, source.offset, source.length, *rest)


def open(
    source: _Source,
    *,
    check_weights: bool = True,
    source_sha256: str | None = None,
    memory_limit: int | None = None,
) -> Model:
    """Opens a packed model file, as `nibble pull` makes it, or the `Part` of an open file that is one.

    `check_weights` checks every byte of the weights; without it opening takes milliseconds whatever the size.
    `source_sha256` is that of the GGUF from which the file must have been packed, in hexadecimal. `memory_limit`: bytes that
    everything over the model may write to together; `NibbleError.MemoryLimit` where something would go beyond.
    """
    options = _ffi.ModelOptions(check_weights=check_weights, source_sha256=source_sha256, memory_limit=memory_limit)
    return Model(_open(source, _ffi.Model.open, _ffi.Model.open_descriptor, options))


def learned_words_in_memory() -> LearnedWords:
    """What a person writes, of which nothing is kept when it is gone."""
    return LearnedWords(_ffi.LearnedWords.in_memory())


def open_emoji(source: _Source) -> EmojiList:
    """Opens a list of the emoji that words call to mind, as `nibble pull emoji-en` makes it: a file, or a `Part` of an open one.

    `NibbleError.LexiconUnfit` where there is none, or it is damaged or of another version.
    """
    return EmojiList(_open(source, _ffi.EmojiList.open, _ffi.EmojiList.open_descriptor))


def open_learned_words(path: str | os.PathLike[str], *, key: bytes | None = None) -> LearnedWords:
    """Opens the file in which keyboards keep what a person writes, or makes it; with a key of 32 bytes, it is sealed.

    `NibbleError.LearnedWordsUnfit` where it is damaged, something else, sealed with another key, or in use; it is as it was.
    """
    return LearnedWords(_ffi.LearnedWords.open(os.fspath(path), key))


def open_lexicon(source: _Source) -> Lexicon:
    """Opens a word list, as `nibble pull lexicon-en` makes it, with which keyboards see through typing errors: a file, or a `Part`
    of an open one.

    `NibbleError.LexiconUnfit` where there is none, or it is damaged or of another version.
    """
    return Lexicon(_open(source, _ffi.Lexicon.open, _ffi.Lexicon.open_descriptor))


def pack(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    source_sha256: str | None = None,
    progress: Callable[[PackProgress], object] | None = None,
) -> None:
    """Packs a GGUF into the model file `target`, which is whole afterwards, or as it was before.

    `source_sha256` is that which the GGUF must have, in hexadecimal. `progress` is called now and then on this thread.
    """
    _run(_ffi.Packing(os.fspath(source), os.fspath(target), source_sha256), progress)


def memory_plan(source: _Source, **session: Any) -> MemoryPlan:
    """What a model file, or the `Part` of an open one, would take, in bytes, and what is made over it: a session (its arguments are
    those of `Model.session`), a keyboard, a replier."""
    return _open(source, _ffi.memory_plan, _ffi.memory_plan_descriptor, _session_options(**session))


class _Closing:
    """An object that is closed at the end of a `with` block, and says so when it is used afterwards."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def close(self) -> None:
        """Closes it; what runs ends with an error. Closing twice does nothing."""
        self._native.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Model(_Closing):
    """An open model. Everything made over it shares its weights, and is closed with it."""

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        return self._native.info()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text, without a BOS; whatever looks like a control token in it is text."""
        return self._native.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens; bytes that are not UTF-8 become U+FFFD."""
        return self._native.detokenize(list(tokens))

    def memory_plan(self, **session: Any) -> MemoryPlan:
        """What the model takes, in bytes, and what is made over it: a session (its arguments are those of `session`), a keyboard, a
        replier."""
        return self._native.memory_plan(_session_options(**session))

    def session(self, **options: Any) -> Session:
        """A new timeline for texts and chats.

        `context`: tokens that it holds (2048); `overflow`: what happens to a longer text (`Overflow.FAIL()`, or
        `Overflow.SLIDE(keep)`); `threads`: 0 takes as many as suit; `priority`, `kv_cache`; `memory_limit`: bytes that it may
        write to.
        """
        return Session(self._native.session(_session_options(**options)))

    def keyboard(
        self,
        *,
        lexicons: Sequence[Lexicon] = (),
        layout: str | Sequence[Key] = "qwerty",
        learned: LearnedWords | None = None,
        languages: Sequence[str] = ("en",),
        threads: int = 0,
        memory_limit: int | None = None,
    ) -> Keyboard:
        """A new keyboard.

        `lexicons`: the words with which it sees through typing errors, of each language that the person writes; without them it
        only predicts. `layout`: where the keys are: "qwerty", "qwertz", "azerty", "dvorak", or a list of `Key`s. `learned`: what
        the person has written, which is suggested and added to. `languages`: those of the lexicons in their order, that which is
        written most first; the model reads a few lines of the one that is being written before the text.
        """
        options = _ffi.KeyboardOptions(
            lexicons=[lexicon._native for lexicon in lexicons],
            layout=_layout(layout),
            learned=None if learned is None else learned._native,
            languages=list(languages),
            threads=threads,
            memory_limit=memory_limit,
        )
        return Keyboard(self._native.keyboard(options))

    def replier(self, *, threads: int = 0, memory_limit: int | None = None) -> Replier:
        """A new replier."""
        return Replier(self._native.replier(threads, memory_limit))

    def calibrate(self) -> None:
        """Measures on how many threads the model is fastest here, and keeps that beside its file. Takes a few seconds."""
        self._native.calibration().run()

    def memory_pressure(self, pressure: MemoryPressure) -> None:
        """Gives memory back; it comes back by itself when it is needed again."""
        self._native.memory_pressure(pressure)


class Session(_Closing):
    """One timeline over a model. A text that begins as the one before it did is read from where they part."""

    def generate(self, prompt: str, **how: Any) -> Generation:
        """Goes on with a text. What is wrong with the arguments is raised when the first piece is asked for.

        `max_tokens`, and `stop`: strings at which the text ends. Sampling is greedy unless said otherwise: `temperature`,
        `top_k` (40), `top_p` (0.95), `min_p` (0.05), `repetition_penalty` (1), `repetition_window` (64), `seed` (0).
        `schema`: a JSON schema, as text or as the object that `json.dumps` makes text of; what is written is JSON that meets
        it unless `max_tokens` or `stop` cuts it, so `json.loads(generation.text())`, and `close_json` before it is whole.
        """
        return Generation(self._native.generate(prompt, *_sampling_and_stop(**how)))

    def chat(self, messages: Sequence[Message], **how: Any) -> Generation:
        """Answers the last turn of a chat, by the model's chat template; the other arguments are those of `generate`."""
        return Generation(self._native.chat(list(messages), *_sampling_and_stop(**how)))

    def save_snapshot(self, path: str | os.PathLike[str]) -> None:
        """Writes what the session has computed to a file, so that a long beginning of a text is computed once."""
        self._native.save_snapshot(os.fspath(path))

    def restore_snapshot(self, source: _Source) -> int:
        """Takes over what a session had computed when the file (or `Part` of an open one) was written; returns how many tokens.

        A text that begins with them goes on from there. `NibbleError.SnapshotUnfit` where the file belongs to another model or
        kind of session; the session is as it was.
        """
        return _open(source, self._native.restore_snapshot, self._native.restore_snapshot_descriptor)


class Generation(_Closing):
    """A text under way: an iterator of pieces, each computed when it is asked for."""

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        piece = self._native.next()
        if piece is None:
            raise StopIteration
        return piece

    @property
    def finish(self) -> Finish | None:
        """Why there is no further piece; `None` while there is one, and where an error ended the text."""
        return self._native.finish()

    def cancel(self) -> None:
        """Stops it, from any thread, within the time of one layer: the next piece is a `NibbleError.Cancelled`."""
        self._native.cancel()

    def text(self) -> str:
        """All that is still to come."""
        return "".join(piece.text for piece in self)


class EmojiList:
    """The emoji of a language's words, mapped from a file."""

    def __init__(self, native: _ffi.EmojiList) -> None:
        self._native = native

    def suggest(self, text: str, count: int = 3) -> list[str]:
        """Up to `count` emoji, eight at most, for the word with which a text ends; the most used first.

        `text` is what stands before the cursor. Nothing of it is kept; yet do not ask where secrets are typed.
        """
        return self._native.suggest(text, count)


class Lexicon:
    """The words of a language and how frequent they are, mapped from a file. Several keyboards may share one."""

    def __init__(self, native: _ffi.Lexicon) -> None:
        self._native = native

    def __len__(self) -> int:
        return self._native.size()


class LearnedWords(_Closing):
    """What a person writes: words, and what they follow, with forgetting. Keyboards that are opened with it share it.

    `close` writes down what was not yet, and closes the file; keyboards go on, and keep nothing more.
    """

    def list(self) -> list[LearnedWord]:
        """All words, the most written first."""
        return self._native.list()

    def add_word(self, word: str) -> bool:
        """Puts in a word of the person's on purpose, written so: it is offered at once, is not forgotten by itself, and no correction
        changes it. Says whether it can be one: letters for the most part, without spaces."""
        return self._native.add_word(word)

    def forget(self, word: str) -> bool:
        """Forgets a word, whatever its case, and all that was learned with it; says whether it was known."""
        return self._native.forget(word)

    def wipe(self) -> None:
        """Forgets everything."""
        self._native.wipe()

    def pause(self, paused: bool = True) -> None:
        """While paused nothing is learned; what is known stays in use."""
        self._native.pause(paused)

    def export(self) -> str:
        """Everything, as JSON, for `add`. It is not sealed."""
        return self._native.export()

    def add(self, exported: str) -> None:
        """Adds what was exported: of what both know, the counts add up. `NibbleError.InvalidArgument` where it is no export."""
        self._native.add(exported)


class TypingSession:
    """One text field while it is typed in: what each key does to the text, and what the strip shows.

    At the end of a `with` block what was written is learned.
    """

    def __init__(self, keyboard: _ffi.Keyboard, native: _ffi.TypingSession) -> None:
        self._keyboard = keyboard
        self._native = native

    def key(self, text: str, touch: tuple[float, float] | None = None) -> Edit:
        """A key that types `text`. The end of a word brings in the correction that the strip has shown."""
        return self._native.key(text, *(touch or (math.nan, math.nan)))

    def backspace(self) -> Edit:
        """The backspace key; right after a correction it takes that back. An empty edit hands the key on to the editor."""
        return self._native.backspace()

    def accept(self, strip: Strip, suggestion: Suggestion) -> Edit | None:
        """A suggestion was taken from this strip; None if the text has changed since."""
        return self._native.accept(strip.generation, suggestion.word)

    def reported(self, before: str, after: str = "", selected: bool = False) -> None:
        """What the editor says the text around the cursor is; what it said before it heard of the last edits changes nothing."""
        self._native.reported(before, after, selected)

    def begins_sentence(self) -> bool:
        """Whether a sentence begins at the cursor."""
        return self._native.begins_sentence()

    def glance(self) -> Strip:
        """What the strip shows at once."""
        return self._native.glance(self._keyboard.ticket())

    def refine(self) -> Strip:
        """What it shows when the model was asked."""
        return self._native.refine(self._keyboard.ticket())

    def look_ahead(self) -> Suggestion | None:
        """Several words at the cursor, which are right about as often as not; None where there are none. `accept` takes them."""
        return self._native.look_ahead(self._keyboard.ticket())

    def learn(self) -> None:
        """Learns what was written since the last time, and writes it down."""
        self._native.learn()

    def __enter__(self) -> TypingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._native.finish()
        self.learn()


class Keyboard(_Closing):
    """Predicts words and, with a lexicon, sees through typing errors.

    A request stops the one before it, which ends as `NibbleError.Superseded`.
    """

    def suggest(self, context: str, typed: str = "", count: int = 3, **more: Any) -> Suggestions:
        """The most probable words at the cursor: after `context`, of which `typed` was typed.

        `touches`: where the key of each character of `typed` was hit, as (x, y) in the unit of the layout, or None where it is
        not known; there may be fewer. `field`: what the text field is for (`Field.TEXT`). `gate`: leaves out words that are too
        improbable to be worth a look (True).
        """
        return self._native.suggest(self._native.ticket(), _request(context, typed, count, **more))

    def glance(self, context: str, typed: str = "", count: int = 3, **more: Any) -> Suggestions:
        """As `suggest`, from what is already known: the model runs once at most, and not where it has more than a few words to read."""
        return self._native.glance(self._native.ticket(), _request(context, typed, count, **more))

    def start(self, field: Field = Field.TEXT, before: str = "", after: str = "") -> TypingSession:
        """Typing begins in a text field, with the text around its cursor."""
        return TypingSession(self._native, self._native.start(field, before, after))

    def set_layout(self, layout: str | Sequence[Key]) -> None:
        """From the next request on the keys are there: a name or a list of `Key`s, as in `Model.keyboard`."""
        self._native.set_layout(_layout(layout))


class Replier(_Closing):
    """Suggests replies. A request stops the one before it, which ends as `NibbleError.Superseded`; drafts go on."""

    def suggest(self, chat: Sequence[Turn], count: int = 3) -> Replies:
        """Replies to the last turn of a conversation, best first."""
        return self._native.suggest(self._native.ticket(), list(chat), count)

    def draft(self, chat: Sequence[Turn], **sampling: Any) -> Generation:
        """A reply in the model's own words, to be edited before it is sent. The sampling is that of `Session.generate`."""
        return Generation(self._native.draft(list(chat), _sampling(**sampling)))


class ModelStore:
    """Packed models in a folder, within a quota in bytes: who was not used for longest makes room for another one."""

    def __init__(self, directory: str | os.PathLike[str], *, quota: int | None = None) -> None:
        self._native = _ffi.ModelStore.open(os.fspath(directory), quota)

    def installed(self) -> list[InstalledModel]:
        """All models, the last used first."""
        return self._native.installed()

    def fitting(self, limit: int, **session: Any) -> list[InstalledModel]:
        """The models of which a session with such options writes to at most `limit` bytes, the largest first."""
        return self._native.fitting(_session_options(**session), limit)

    def install(
        self,
        name: str,
        source: str | os.PathLike[str],
        *,
        source_sha256: str | None = None,
        progress: Callable[[PackProgress], object] | None = None,
    ) -> None:
        """Packs a GGUF, or checks and copies a packed file. The model that has the name serves until this one is whole."""
        _run(self._native.install(name, os.fspath(source), source_sha256), progress)

    def download(
        self, manifest: bytes, *, public_keys: Sequence[str], allow_older: bool = False, memory: int | None = None
    ) -> Download:
        """Begins to download the model of a signed manifest, as `nibble manifest make` writes it, or goes on with it.

        One of `public_keys`, in hexadecimal, must have signed it. `allow_older` takes one with a lower sequence number than what
        was last installed. `memory`: bytes that the device has; None asks the system, where it tells.

        `NibbleError.ManifestUntrusted`, `ManifestUnfit`, `ManifestOlder`, and `MemoryLimit` where there is too little of it.
        """
        return Download(self._native.download(manifest, list(public_keys), allow_older, memory))

    def rollback(self, name: str) -> None:
        """Puts the model back that the last download of `name` took the place of. `NibbleError.ModelNotFound` where there is none."""
        self._native.rollback(name)

    def path(self, name: str) -> str:
        """The file of a model, to be opened; it counts as used now."""
        return self._native.path(name)

    def remove(self, name: str) -> None:
        """Removes a model. Who has it open keeps it."""
        self._native.remove(name)


class Download:
    """A model file on its way into a store, which the caller fetches. It can be gone on with after whatever ended it."""

    def __init__(self, native: _ffi.Download) -> None:
        self._native = native

    @property
    def manifest(self) -> Manifest:
        """What is being fetched."""
        return self._native.manifest()

    def missing(self) -> list[ByteRange]:
        """Which bytes of the file are still to be written, in their order."""
        return self._native.missing()

    def write(self, offset: int, data: bytes) -> None:
        """Takes bytes of the file that begin at `offset`, where something is missing or a chunk begins.

        `NibbleError.ModelDamaged` where a chunk is whole with them and wrong: it is missing again.
        """
        self._native.write(offset, data)

    def install(self, *, progress: Callable[[PackProgress], object] | None = None) -> None:
        """Installs what is whole, under the name of its manifest. The model that has the name is kept for `ModelStore.rollback`."""
        _run(self._native.install(), progress)

    def discard(self) -> None:
        """Removes what was downloaded."""
        self._native.discard()


def _run(packing: _ffi.Packing, progress: Callable[[PackProgress], object] | None) -> None:
    """Runs a packing on a thread of its own, so that it can be watched, and stopped from the keyboard."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        done = executor.submit(packing.run)
        try:
            while not done.done():
                wait([done], timeout=0.1)
                if progress is not None:
                    progress(packing.progress())
            done.result()
        except BaseException:
            packing.cancel()
            raise


def _session_options(
    *,
    context: int = 2048,
    overflow: Overflow | None = None,
    threads: int = 0,
    priority: Priority = Priority.INTERACTIVE,
    kv_cache: KvCache = KvCache.F16,
    memory_limit: int | None = None,
) -> _ffi.SessionOptions:
    return _ffi.SessionOptions(
        context=context,
        overflow=Overflow.FAIL() if overflow is None else overflow,
        threads=threads,
        priority=priority,
        kv_cache=kv_cache,
        memory_limit=memory_limit,
    )


def _layout(layout: str | Sequence[Key]) -> _ffi.Layout:
    if not isinstance(layout, str):
        return _ffi.Layout.KEYS(list(layout))
    if layout not in _LAYOUTS:
        raise NibbleError.InvalidArgument(f"there is no layout {layout!r}; there are {', '.join(_LAYOUTS)}, and lists of keys")
    return _LAYOUTS[layout]()


_LAYOUTS = {
    "qwerty": _ffi.Layout.QWERTY,
    "qwertz": _ffi.Layout.QWERTZ,
    "azerty": _ffi.Layout.AZERTY,
    "dvorak": _ffi.Layout.DVORAK,
}


def _request(
    context: str,
    typed: str,
    count: int,
    *,
    touches: Sequence[tuple[float, float] | None] = (),
    field: Field = Field.TEXT,
    gate: bool = True,
) -> _ffi.KeyboardRequest:
    unknown = (math.nan, math.nan)
    return _ffi.KeyboardRequest(
        context=context,
        typed=typed,
        touches=[number for touch in touches for number in touch or unknown],
        count=count,
        field=field,
        gate=gate,
    )


def _sampling(*, schema: str | dict[str, Any] | bool | None = None, **sampling: Any) -> _ffi.Sampling:
    if schema is not None and not isinstance(schema, str):
        schema = json.dumps(schema)
    return _ffi.Sampling(**sampling, schema=schema)


def _sampling_and_stop(
    *, max_tokens: int | None = None, stop: Sequence[str] = (), **sampling: Any
) -> tuple[_ffi.Sampling, _ffi.Stop]:
    return _sampling(**sampling), _ffi.Stop(max_tokens=max_tokens, strings=list(stop))

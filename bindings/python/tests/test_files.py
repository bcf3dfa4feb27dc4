"""Model files, stores and snapshots through the Python API."""

import os
import pathlib
import tempfile
import unittest

import nibble

MODEL = os.environ["NIBBLE_TEST_MODEL"]
CONFORMANCE = pathlib.Path(__file__).parents[3] / "tests/conformance"


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_a_restored_session_writes_the_same(self):
        path = self.folder / "prompt.snapshot"
        with nibble.open(MODEL, check_weights=False) as model:
            with model.session(context=256) as session:
                with self.assertRaises(nibble.NibbleError.InvalidArgument):
                    session.save_snapshot(path)
                expected = session.generate("The capital of France is", max_tokens=6).text()
                session.save_snapshot(path)
            with model.session(context=256) as session:
                self.assertGreaterEqual(session.restore_snapshot(path), 5)
                self.assertEqual(session.generate("The capital of France is", max_tokens=6).text(), expected)
            with model.session(context=256, kv_cache=nibble.KvCache.Q8) as session:
                with self.assertRaises(nibble.NibbleError.SnapshotUnfit):
                    session.restore_snapshot(path)

    def test_what_lies_in_an_archive_is_opened_where_it_lies(self):
        archive = self.folder / "archive"
        paths = {"model": MODEL, "words": CONFORMANCE / "words-en.fst", "emoji": CONFORMANCE / "emoji-en.fst"}
        parts = {}
        with open(archive, "wb") as file:
            for name, path in paths.items():
                file.write(bytes(64 - file.tell() % 64))
                content = pathlib.Path(path).read_bytes()
                parts[name] = (file.tell(), len(content))
                file.write(content)
        with open(archive, "rb") as file:
            model, words, emoji = (nibble.Part(file, *parts[name]) for name in paths)
            self.assertEqual(nibble.memory_plan(model, context=64), nibble.memory_plan(MODEL, context=64))
            model = nibble.open(model, check_weights=False)
            words = nibble.open_lexicon(nibble.Part(file.fileno(), *parts["words"]))
            self.assertEqual(nibble.open_emoji(emoji).suggest("pizza "), nibble.open_emoji(paths["emoji"]).suggest("pizza "))
            with self.assertRaises(nibble.NibbleError.LexiconUnfit):
                nibble.open_lexicon(nibble.Part(file, *parts["emoji"]))
            closed = nibble.Part(-1, 0, 1)
        archive.unlink()
        with self.assertRaises(nibble.NibbleError.InvalidArgument):
            nibble.open(closed)
        self.assertEqual(len(words), len(nibble.open_lexicon(paths["words"])))
        with model, model.session(context=64) as session:
            written = session.generate("The capital of France is", max_tokens=6).text()
            snapshot = self.folder / "prompt.snapshot"
            session.save_snapshot(snapshot)
            with open(snapshot, "rb") as file, model.session(context=64) as restored:
                self.assertGreaterEqual(restored.restore_snapshot(nibble.Part(file, 0, snapshot.stat().st_size)), 5)
                self.assertEqual(restored.generate("The capital of France is", max_tokens=6).text(), written)

    def test_a_store_installs_lists_and_removes(self):
        store = nibble.ModelStore(self.folder / "models", quota=500_000_000)
        seen = []
        store.install("small", MODEL, progress=seen.append)
        self.assertGreater(len(seen), 0)
        [installed] = store.installed()
        needed = nibble.memory_plan(installed.path).session
        self.assertEqual((store.fitting(needed), store.fitting(needed - 1)), ([installed], []))
        self.assertEqual((installed.name, installed.path), ("small", store.path("small")))
        with nibble.open(store.path("small"), check_weights=False) as model:
            self.assertEqual(model.info.source_sha256, installed.source_sha256)
        store.remove("small")
        self.assertEqual(store.installed(), [])
        with self.assertRaises(nibble.NibbleError.ModelNotFound):
            store.path("small")
        with self.assertRaises(nibble.NibbleError.StorageFull):
            nibble.ModelStore(self.folder / "models", quota=1000).install("small", MODEL)

    def test_a_signed_model_is_downloaded_after_a_break_and_installed(self):
        store = nibble.ModelStore(self.folder / "models")
        content = (CONFORMANCE / "base.gguf").read_bytes()
        manifest = (CONFORMANCE / "base.manifest.json").read_bytes()
        keys = [(CONFORMANCE / "base.public-key").read_text().strip()]
        download = store.download(manifest, public_keys=keys)
        self.assertEqual((download.manifest.name, download.manifest.length), ("base", len(content)))
        with self.assertRaises(nibble.NibbleError.InvalidArgument):
            download.install()
        with self.assertRaises(nibble.NibbleError.ModelDamaged):
            download.write(0, bytes(len(content)))
        download.write(0, content[:5000])
        self.assertEqual([(r.start, r.end) for r in download.missing()], [(5000, len(content))])
        # What was not a whole chunk is gone when the download is.
        del download
        download = store.download(manifest, public_keys=keys)
        for missing in download.missing():
            download.write(missing.start, content[missing.start : missing.end])
        download.install()
        self.assertEqual(store.installed()[0].source_sha256, download.manifest.sha256)
        with self.assertRaises(nibble.NibbleError.ModelNotFound):
            store.rollback("base")
        with self.assertRaises(nibble.NibbleError.ManifestUntrusted):
            store.download(manifest, public_keys=[])
        with self.assertRaises(nibble.NibbleError.ManifestUnfit):
            store.download(b"{}", public_keys=keys)
        with self.assertRaises(nibble.NibbleError.MemoryLimit):
            store.download(manifest, public_keys=keys, memory=999)

    def test_a_newer_model_is_rolled_back_and_an_older_one_taken_only_where_somebody_says_so(self):
        store = nibble.ModelStore(self.folder / "models")
        content = (CONFORMANCE / "base.gguf").read_bytes()
        older, newer = [(CONFORMANCE / f"base{n}.manifest.json").read_bytes() for n in ("", "-newer")]
        keys = [(CONFORMANCE / "base.public-key").read_text().strip()]
        sources = []
        for manifest, part in [(older, content), (newer, content + bytes(32))]:
            download = store.download(manifest, public_keys=keys)
            download.write(0, part)
            download.install()
            sources.append(download.manifest.sha256)
            del download
        self.assertEqual(store.installed()[0].source_sha256, sources[1])
        store.rollback("base")
        self.assertEqual(store.installed()[0].source_sha256, sources[0])
        with self.assertRaises(nibble.NibbleError.ModelNotFound):
            store.rollback("base")
        with self.assertRaises(nibble.NibbleError.ManifestOlder):
            store.download(older, public_keys=keys)
        store.download(older, public_keys=keys, allow_older=True)

    def test_what_a_keyboard_and_a_replier_take_is_known_before(self):
        with nibble.open(MODEL, check_weights=False) as model:
            plan = model.memory_plan(context=256)
            for open_one, needed in [(model.keyboard, plan.keyboard), (model.replier, plan.replier)]:
                with self.assertRaises(nibble.NibbleError.MemoryLimit) as refused:
                    open_one(memory_limit=needed - 1)
                self.assertEqual(refused.exception.needed, needed)
                open_one(memory_limit=needed).close()

    def test_what_is_no_gguf_is_not_packed(self):
        source, target = self.folder / "source.gguf", self.folder / "target.nibble"
        source.write_bytes(b"some other file")
        with self.assertRaises(nibble.NibbleError.ModelDamaged):
            nibble.pack(source, target)
        with self.assertRaises(nibble.NibbleError.ModelNotFound):
            nibble.pack(self.folder / "none.gguf", target)
        self.assertFalse(target.exists())

    def test_power_changes_no_result(self):
        with nibble.open(MODEL, check_weights=False) as model, model.session(context=64) as session:
            texts = set()
            for state in (nibble.PowerState.NORMAL, nibble.PowerState.CRITICAL, nibble.PowerState.NORMAL):
                nibble.set_power_state(state)
                texts.add(session.generate("Once upon a time", max_tokens=8).text())
            self.assertEqual(len(texts), 1)


if __name__ == "__main__":
    unittest.main()

"""What the package adds to the generated bindings: pages whose programs run, and faults that say that they are."""

import contextlib
import io
import os
import pathlib
import re
import tempfile
import unittest

import nibble
from nibble import _ffi

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL = os.environ["NIBBLE_TEST_MODEL"]


def printed(page):
    """What the program prints that a page shows, which is all of its indented lines, where it finds the files that it names."""
    program = "\n".join(line[4:] for line in page.splitlines() if line.startswith("    "))
    output = io.StringIO()
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(output):
        os.symlink(MODEL, pathlib.Path(folder, "model.nibble"))
        for file, name in (("words-en.fst", "lexicon-en.fst"), ("emoji-en.fst", "emoji-en.fst")):
            os.symlink(ROOT / "tests/conformance" / file, pathlib.Path(folder, name))
        os.chdir(folder)
        try:
            exec(compile(program, "page", "exec"), {})
        finally:
            os.chdir(before)
    return output.getvalue()


class Package(unittest.TestCase):
    def test_the_program_of_the_readme_runs(self):
        page = (ROOT / "bindings/python/README.md").read_text(encoding="utf-8")
        *text, mood, words, replies, word, edit, emoji = printed(page).splitlines()
        self.assertIn("Paris", text[0])
        self.assertIn(mood, ["{'mood': 'good'}", "{'mood': 'bad'}"])
        self.assertIn("tomorrow", words.split(", "))
        self.assertRegex(replies, r"^[^|]+\|[^|]+\|[^|]+$")
        # What the page says that they print.
        said = re.findall(r"print\(.*\)  # (.*)", page)
        self.assertEqual([word, edit, emoji], said)

    def test_the_program_of_the_package_runs(self):
        self.assertIn("Paris", printed(nibble.__doc__))

    def test_a_fault_of_the_library_is_an_error_of_ours_and_quotes_nothing(self):
        status = _ffi._UniffiRustCallStatus(
            code=_ffi._UniffiRustCallStatus.CALL_UNEXPECTED_ERROR,
            error_buf=_ffi._UniffiFfiConverterString.lower("index out of bounds in 'hunter2'"),
        )
        with self.assertRaises(nibble.NibbleError.Internal) as caught:
            _ffi._uniffi_check_call_status(None, status)
        self.assertIn("report", caught.exception.reason)
        self.assertNotIn("hunter2", str(caught.exception))


if __name__ == "__main__":
    unittest.main()

"""The getting-started page, as a program: `python getting_started.py MODEL.nibble`."""

import sys

import nibble

with nibble.open(sys.argv[1]) as model:
    with model.session() as session:
        for piece in session.generate("The capital of France is", max_tokens=8):
            print(piece.text, end="", flush=True)
    print()
    words = model.keyboard().suggest("See you ", "to").suggestions
    print(", ".join(suggestion.word for suggestion in words))
    replies = model.replier().suggest([nibble.Turn(from_me=False, text="Lunch on Friday?")]).replies
    print(" | ".join(reply.text for reply in replies))

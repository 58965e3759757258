"""IFBench and IF-RLVR's constraints through `stampede score`: what a user gets.

The published cases and prompts lie in ../shared beside the checkout; those tests are skipped
without it. The others compare with a few lines of Python on random texts.
"""

from __future__ import annotations

import collections
import csv
import io
import json
import random
import re
import string

import pytest
from cli import SHARED, run

IDS = """
count:word_count_range count:unique_word_count count:conjunctions count:person_names count:numbers
count:punctuation count:pronouns count:words_japanese count:keywords_multiple ratio:stop_words
ratio:sentence_type ratio:sentence_balance ratio:overlap ratio:sentence_words words:alphabet
words:vowel words:consonants words:palindrome words:prime_lengths words:start_verb words:repeats
words:odd_even_syllables words:last_first words:paragraph_last_first words:no_consecutive
words:keywords_specific_position words:words_position sentence:alliteration_increment
sentence:increment sentence:keyword format:parentheses format:quotes format:options format:newline
format:emoji format:line_indent format:quote_unquote format:list format:thesis format:sub-bullets
format:no_bullets_bullets format:title_case format:output_template format:no_whitespace
repeat:repeat_change repeat:repeat_simple repeat:repeat_span custom:multiples
custom:mcq_count_length custom:reverse_newline custom:word_reverse custom:character_reverse
custom:sentence_alphabet custom:european_capitals_sort custom:csv_city
custom:csv_special_character custom:csv_quotes custom:date_format_list
copy:repeat_phrase copy:copy new:copy_span_idx detectable_format:sentence_hyphens
detectable_format:square_brackets detectable_format:bigram_wrapping
keywords:no_adjacent_consecutive keywords:word_once keywords:word_count_different_numbers
keywords:exclude_word_harder keywords:palindrome keywords:keyword_specific_position
keywords:start_end paragraphs:paragraphs paragraphs:paragraphs2 first_word:first_word_sent
first_word:first_word_answer last_word:last_word_sent last_word:last_word_answer
copy:copying_simple copy:copying_multiple punctuation:punctuation_dot
punctuation:punctuation_exclamation count:lowercase_counting count:counting_composition
count:count_unique count:count_increment_word letters:letter_counting letters:letter_counting2
""".split()


def needs(name):
    return pytest.mark.skipif(not (SHARED / "data" / name).exists(),
                              reason=f"../shared/data/{name} is not beside the checkout")


def rows(name):
    with open(SHARED / "data" / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def score(items, **keys):
    """Rows of `score` for (ids, kwargs, completion) each."""
    records = [{"completion": text,
                "reward": [{"verifier": "ifeval", "instruction_id_list": ids, "kwargs": kwargs,
                            **keys}]} for ids, kwargs, text in items]
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
    done = run("score", "-", "--output", "-", "--summary", "off", "--progress", "never",
               stdin=text.encode())
    assert done.returncode in (0, 1), done.stderr.decode()
    out = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(out) == len(items)
    return out


def verdicts(items):
    return [row["reward"]["terms"][0]["instructions"][0] for row in
            score([([name], [kwargs], text) for name, kwargs, text in items])]


def test_ids():
    """Each is known, and refuses an argument that it does not have."""
    assert len(set(IDS)) == 58 + 29
    for name, row in zip(IDS, score([([name], [{"nothing": 1}], "text") for name in IDS])):
        assert row["reward"]["status"] == "bad_spec", name
        assert f'({name}): It has no argument "nothing".' in row["error"]


def test_refused():
    cases = [("count:numbers", {}, '"N" is missing'),
             ("count:numbers", {"N": 1.5}, "an integer was expected"),
             ("ratio:stop_words", {"percentage": 101}, "0 to 100 was expected"),
             ("count:word_count_range", {"min_words": 2, "max_words": 1}, "greater"),
             ("letters:letter_counting", {"N": 1, "relation": "at most"}, '"less than"'),
             ("count:numberz", {"N": 1}, "is not known")]
    for (_, _, part), row in zip(cases, score([([i], [k], "text") for i, k, _ in cases])):
        assert row["reward"]["status"] == "bad_spec"
        assert part in row["error"]


def test_loose():
    """The stars go, and then every word is in brackets and no number is left."""
    ids, kwargs = ["detectable_format:square_brackets", "count:numbers"], [{}, {"N": 0}]
    items = [(ids, kwargs, "* [All] [of]"), (ids, kwargs, "All 2\n[of]")]
    got = [[row["reward"]["terms"][0]["instructions"] for row in score(items, mode=mode)]
           for mode in ("strict", "loose")]
    assert got == [[[False, True], [False, False]], [[True, True], [True, True]]]
    assert [row["reward"]["value"] for row in score(items, score="fraction")] == [0.5, 0]


@needs("ifbench_cases.jsonl")
def test_published_cases():
    """A blank response follows nothing, whatever a checker alone would say."""
    cases = rows("ifbench_cases.jsonl")
    got = verdicts([(c["instruction_id"], c["kwargs"], c["response"]) for c in cases])
    wrong = [c for c, follows in zip(cases, got)
             if follows != (c["expected"] and bool(c["response"].strip()))]
    assert not wrong and len(cases) == 174


@needs("ifbench_test.jsonl")
def test_prompts():
    prompts = rows("ifbench_test.jsonl")
    got = score([(p["instruction_id_list"], p["kwargs"], "An answer.") for p in prompts])
    assert [row["reward"]["status"] for row in got] == ["ok"] * 300
    assert sum(len(row["reward"]["terms"][0]["instructions"]) for row in got) == 344


# ---- Random texts ------------------------------------------------------------------------------

PLAIN = str.maketrans("", "", string.punctuation)


def is_city(text):
    try:
        table = list(csv.reader(io.StringIO(text)))
    except csv.Error:
        return False
    return (len(table) == 8 and table[0] == ["ID", "Country", "City", "Year", "Count"]
            and all(len(row) == 5 for row in table))


def letters_go_on(text):
    first = [ord(w[0].lower()) - ord("a") for w in text.translate(PLAIN).split()]
    return (bool(first) and all(0 <= f < 26 for f in first)
            and all((b - a) % 26 == 1 for a, b in zip(first, first[1:])))


ORACLES = {
    "count:numbers": lambda n, s: len(re.findall(r"\d+", s.translate(PLAIN))) == n["N"],
    "count:word_count_range":
        lambda n, s: n["min_words"] <= len(re.findall(r"\w+", s)) <= n["max_words"],
    "count:lowercase_counting": lambda n, s: len(re.findall(r"\b[a-z]+\b", s)) <= n["N"],
    "count:unique_word_count":
        lambda n, s: len({w.strip(string.punctuation) for w in s.lower().split()}) >= n["N"],
    "words:repeats": lambda n, s: all(c <= n["small_n"] for c in collections.Counter(
        s.lower().translate(PLAIN).split()).values()),
    "words:alphabet": lambda _, s: letters_go_on(s),
    "words:vowel": lambda _, s: "\n" not in s.strip() and len(set("aeiou") & set(s.lower())) <= 3,
    "words:prime_lengths":
        lambda _, s: all(len(w) > 1 and all(len(w) % d for d in range(2, len(w)))
                         for w in s.translate(PLAIN).split()),
    "keywords:palindrome": lambda _, s: any(w == w[::-1] for w in s.split()),
    "letters:letter_counting": lambda n, s: len(re.findall("[A-Za-z]", s)) >= n["N"],
    "format:no_whitespace": lambda _, s: not any(c.isspace() for c in s),
    "detectable_format:square_brackets":
        lambda _, s: all(w[0] == "[" and w[-1] == "]" for w in s.split()),
    "custom:csv_city": lambda _, s: is_city(s),
}
ARGUMENTS = {"N": (0, 1, 2, 4), "small_n": (1, 2), "min_words": (1, 2), "max_words": (3, 5),
             "relation": ("at least",)}
NAMES = {"count:numbers": ["N"], "count:word_count_range": ["min_words", "max_words"],
         "count:lowercase_counting": ["N"], "count:unique_word_count": ["N"],
         "words:repeats": ["small_n"], "letters:letter_counting": ["N", "relation"]}
PIECES = ["a", "b", "C", "dad", "é", "2", "3.14", "x-y", "x_y", "It's", "[a]", "[b.]", "[", "ὈΔΟΣ",
          ",", "\t", "\n", "\u00a0", "\u3000", "٣", "ij", "noon", "Éé", "😀", "-"]
FIELDS = ["a", "b c", "", '"x"', '"x,y"', '"x""y"', '"x\ny"', 'a"b', '"x"y', '"']


def random_text(rng, name):
    if name == "custom:csv_city":
        ends = rng.choice(["\n", "\n", "\n", "\r\n", "\r"])
        lines = [",".join(rng.choice(FIELDS) if rng.random() < 0.05 else "1" for _ in range(5))
                 for _ in range(rng.choice([7, 7, 7, 8]))]
        return ends.join(["ID,Country,City,Year,Count"] + lines) + rng.choice(["", ends, "\n\n"])
    if name == "words:alphabet" and rng.random() < 0.5:
        start = rng.randrange(26)
        return " ".join(chr(97 + (start + i) % 26) + "x." for i in range(rng.randrange(1, 30)))
    pieces = PIECES if rng.random() < 0.5 else rng.sample(PIECES, 4)
    return rng.choice([" ", " ", "  ", ""]).join(
        rng.choice(pieces) for _ in range(rng.randrange(1, 8)))


def test_random_texts():
    rng = random.Random(4)
    items = []
    for name in ORACLES:
        for _ in range(300):
            text = random_text(rng, name)
            kwargs = {key: rng.choice(ARGUMENTS[key]) for key in NAMES.get(name, [])}
            if text.strip():
                items.append((name, kwargs, text))
    n = collections.Counter()
    for (name, kwargs, text), follows in zip(items, verdicts(items)):
        assert follows == ORACLES[name](kwargs, text), (name, kwargs, text)
        n[name, follows] += 1
    assert all(n[name, follows] >= 4 for name in ORACLES for follows in (True, False)), n

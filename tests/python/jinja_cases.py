"""What tests/python/test_jinja.py renders: conversations, and templates with edits."""

import re

from jinja_programs import LIST_FILTERS, LOOP, SIGNS, TESTS, TO_SCALAR, TO_STRING

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'Get "weather" <é>',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City"},
                    "unit": {"type": "string", "enum": ["c", "f"]},
                    "days": {"type": ["integer", "null"]},
                    "rest": {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
                },
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "none", "description": "x", "parameters": {}}},
    {"name": "flat", "description": "flat", "parameters": {"properties": {"q": {"default": 1.5}}}},
]  # fmt: skip
TEXTS = [
    "Hello", "", "  spaced \n", "<think>\nreason\n</think>\n\nAnswer", "<think>a</think>b</think>c",
    "ünïcode 東京 🦙", "quote \" and ' \\ \n\t", "<tool_response>x</tool_response>", "/no_think do",
    "Multi\nline\n", "</think> \n tail", "{}", "null", "<|im_end|>", "\x00\x1f\u2028\u00a0",
]  # fmt: skip
ARGUMENTS = [
    {"city": "Paris"}, {}, {"a": 1, "b": [1, "x", None, True, 2.5], "c": {"d": "é\"'", "e": None}},
    {"s": "it's\nnew \\ \"q\""}, '{"city": "Paris"}', "{}", "", {"b": False, "n": None},
    {"n": 10**30, "f": 1e22, "z": -0.0, "t": [], "u": ["Ü", "東\u200b"]},
    {"i": -(2**63), "g": 5e-324},
]  # fmt: skip
REASONING = ("reasoning_content", "thinking", "reasoning")


def content(rng):
    kind = rng.random()
    if kind < 0.65:
        return rng.choice(TEXTS)
    if kind < 0.75:
        return [{"type": "text", "text": rng.choice(TEXTS)} for _ in range(rng.randint(0, 3))]
    return rng.choice([
        [{"type": "image"}, {"type": "text", "text": "see"}], None,
        ["plain", {"type": "text", "text": "b"}], {"k": [1, "é"], "type": "text"},
        [{"type": "other", "x": 1.0}], 3, 1.5, True, [],
    ])  # fmt: skip


def tool_calls(rng):
    calls = []
    for _ in range(rng.randint(0, 3)):
        function = {"name": rng.choice(["get_weather", "f"]), "arguments": rng.choice(ARGUMENTS)}
        if rng.random() < 0.1:
            del function["arguments"]
        call = {"type": "function", "function": function} if rng.random() < 0.85 else function
        if rng.random() < 0.5:
            call["id"] = rng.choice(["call_1", "abcdefghi", "functions.f:0"])
        calls.append(call)
    return calls


def conversation(rng):
    """Messages; most of them in an order that templates expect."""
    turns = []
    if rng.random() < 0.5:
        turns.append(
            {"role": rng.choice(["system", "system", "developer"]), "content": content(rng)}
        )
    usual = rng.random() < 0.7
    for i in range(rng.randint(0, 6)):
        role = (
            ["user", "assistant"][i % 2]
            if usual
            else rng.choice(["user", "assistant", "tool", "system", "x"])
        )
        turn = {"role": role}
        if rng.random() < 0.95:
            turn["content"] = rng.choice(TEXTS) if usual and rng.random() < 0.6 else content(rng)
        if role == "assistant" and rng.random() < 0.35:
            turn["tool_calls"] = tool_calls(rng)
        if role == "assistant" and rng.random() < 0.25:
            turn[rng.choice(REASONING)] = rng.choice([*TEXTS, None])
        if role == "tool" and rng.random() < 0.5:
            turn["tool_call_id"] = "abcdefghi"
        turns.append(turn)
        if usual and turn.get("tool_calls"):
            turns.append(
                {
                    "role": "tool",
                    "name": "get_weather",
                    "content": rng.choice(["18C", '{"t": 1}', content(rng)]),
                }
            )
    if not turns or (usual and turns[-1]["role"] not in ("user", "tool")):
        turns.append({"role": "user", "content": "last?"})
    return turns


def prepared(turns):
    """What transformers makes of messages before a template sees them."""
    seen = []
    for turn in turns:
        turn = {k: v for k, v in turn.items() if v is not None}
        reasoning = next((turn[k] for k in REASONING if k in turn), None)
        if reasoning is not None:
            turn = {"thinking": reasoning, **turn, "reasoning_content": reasoning}
        seen.append(turn)
    return seen


def tools(rng):
    return rng.choice([None, None, None, TOOLS, TOOLS[:1], TOOLS[1:], []])


def variables(rng):
    given = {
        "messages": prepared(conversation(rng)),
        "tools": tools(rng),
        "documents": None,
        "add_generation_prompt": True,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|im_end|>",
    }
    if rng.random() < 0.5:
        given["pad_token"] = "<|pad|>"
    return given


# ---- edits of templates

PIECE = re.compile(
    r"\{%[-+]?|[-+]?%\}|\{\{[-+]?|-?\}\}|\{#[-+]?|[-+]?#\}|\w+"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|\s+|.",
    re.S,
)
EXPRESSIONS = [
    "messages", "messages[0]", "message", "message.content", "message['role']", "loop", "tools",
    "ns", "bos_token", "eos_token", "nowhere", "none", "true", "1", "2.5", "-1", "0", "'x'", '"é"',
    "[]", "[1, 2]", "{}", "{'a': 1}", "()", "(1, 2)", "range(3)", "namespace()", "dict(a=1)",
    "messages|length", "add_generation_prompt", "messages[1:]", "messages[::-1]", "messages[-1]",
    "'abc'[::-1]", "1/2", "7//2", "7%3", "2**3", "'a'~1", "[1]+[2]", "'a'*3", "not 1", "-(1)",
    "'a' in 'abc'", "1 if 0", "1 if 1 else 2", "1<2<3", "1==1.0", "messages.append",
    "messages|map(attribute='role')|list", "'x'.upper()", "'a b'.split()", "'%s' % 1",
    "messages[0].items()|list", "messages[0].keys()", "caller()", "varargs", "kwargs", *LOOP,
]  # fmt: skip
WORDS = [
    *SIGNS, "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in", "is", "|", ".", ",", "(",
    ")", "[", "]", ":", "=", "if", "else", "not",
]  # fmt: skip
STATEMENTS = [
    "{% set x = 1 %}", "{% set q = namespace(a=1) %}{% set q.a = 2 %}{{ q.a }}", "{% if true %}",
    "{% endif %}", "{% else %}", "{% for q in [1, 2] %}", "{% endfor %}", "{% break %}",
    "{% continue %}", "{% for q in messages if q.role %}{{ loop.index }}{% endfor %}", "{# c #}",
    "{% print 1, 2 %}",
    "{% macro mm(a, b=1) %}{{ a }}{{ b }}{{ caller is defined }}{% endmacro %}{{ mm(1) }}",
    "{% set y %}a{{ loop is defined }}{% endset %}{{ y }}", "{% filter upper %}ab{% endfilter %}",
    "{% with z = 1 %}{{ z }}{% endwith %}", "{% raw %}{{ x }}{% endraw %}",
    "{% set message = none %}", "{% generation %}g{% endgeneration %}",
    "{% call mm(2) %}q{% endcall %}", "{% set content = 'c' %}",
    "{% for a, b in {'p': 1}.items() %}{{ a }}{{ b }}{% else %}n{% endfor %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set messages = messages[1:] %}",
]  # fmt: skip
ODDITIES = ["\n", " ", "\r\n", "\u2028", "\x00", "é", "\\", "'", '"']
FILTERS = [*TO_STRING, *LIST_FILTERS, *TO_SCALAR]


def places(pieces, fits):
    return [i for i, piece in enumerate(pieces) if fits(piece)]


def is_edge(piece):
    return piece[:2] in ("{%", "{{", "{#") or piece[-2:] in ("%}", "}}", "#}")


def edit(rng, pieces):
    """One change of a template's pieces, in place."""
    at = rng.randrange(len(pieces))
    kind = rng.randrange(11)
    names = places(pieces, lambda p: re.fullmatch(r"\w+", p))
    ends = places(pieces, lambda p: p.endswith("}}"))
    if kind == 0:
        del pieces[at : at + rng.choice([1, 1, 1, 2, 3, 8])]
    elif kind == 1:
        pieces.insert(at, rng.choice(pieces))
    elif kind == 2:
        other = rng.randrange(len(pieces))
        pieces[at], pieces[other] = pieces[other], pieces[at]
    elif kind == 3 and names:
        expression = rng.choice(EXPRESSIONS)
        pieces[rng.choice(names)] = expression if rng.random() < 0.5 else f"({expression})"
    elif kind in (4, 5) and ends:
        pieces.insert(rng.choice(ends), f" | {rng.choice(FILTERS)} ")
    elif kind == 6 and ends:
        pieces.insert(rng.choice(ends), f" is {rng.choice(['', 'not '])}{rng.choice(TESTS)} ")
    elif kind == 7:
        place = rng.choice(places(pieces, is_edge) or [at])
        piece = pieces[place]
        if piece[:2] in ("{%", "{{", "{#"):
            pieces[place] = piece[:2] + rng.choice(["", "-", "+", " ", "\n"])
        else:
            pieces[place] = rng.choice(["", "-", "+", " "]) + piece[-2:]
    elif kind == 8:
        pieces.insert(at, rng.choice(STATEMENTS))
    elif kind == 9:
        signs = places(pieces, lambda p: p in WORDS)
        pieces[rng.choice(signs or [at])] = f" {rng.choice(WORDS)} "
    else:
        pieces.insert(at, rng.choice([*WORDS, *EXPRESSIONS, *ODDITIES]))


def edited(rng, template):
    pieces = PIECE.findall(template)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        if pieces:
            edit(rng, pieces)
    return "".join(pieces)

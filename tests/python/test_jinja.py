"""The interpreter of chat templates against Jinja2 with transformers' own settings.

A C program, tests/tools/jinja.c, renders JSON lines. For each case it must print what Jinja prints
or refuse, and refuse where Jinja does. JINJA_ROUNDS=N makes the random tests N times as long.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import unicodedata
import warnings
from copy import deepcopy
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import _compile_jinja_template

sys.path.insert(0, str(Path(__file__).parent))
from jinja_cases import edited, variables  # noqa: E402
from jinja_programs import CONTEXT, Program  # noqa: E402
from jinja_templates import TEMPLATES  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede")).parent
ROUNDS = float(os.environ.get("JINJA_ROUNDS", "1"))
JINJA = _compile_jinja_template("").environment

# Random templates make Python warn of what they compile to.
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="session")
def render():
    program = BUILD / "tests/tools/jinja"
    if "STAMPEDE_BIN" not in os.environ:
        subprocess.run(["make", "-s", str(program)], cwd=CHECKOUT, check=True)

    def answers(cases):
        """The answers to (template, variables); a template that is None is the one before."""
        requests = (
            {"template": t, "variables": v} if t is not None else {"variables": v} for t, v in cases
        )
        lines = "".join(json.dumps(r) + "\n" for r in requests)
        run = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        return [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]

    return answers


@lru_cache(16)
def compiled(template):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return JINJA.from_string(template)


def jinja(template, given):
    """What Jinja prints, or None; and why it does not. Some of its filters change what they get."""
    try:
        return compiled(template).render(**deepcopy(given)), None
    except Exception as e:  # of any kind, from the template's code
        return None, e


def compare(render, cases):
    """Checks all cases; the share of them that was rendered."""
    answers = render(cases)
    assert len(answers) == len(cases)
    n_same = 0
    for (template, given), answer in zip(cases, answers, strict=True):
        text, why = jinja(template, given)
        if "text" in answer:
            assert text == answer["text"], (template, given, why)
            n_same += 1
        else:
            assert answer["error"].startswith("template, line "), answer
    return n_same / len(cases)


# ---- whole templates


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_published_kinds(render, name):
    rng = random.Random(name)
    cases = [(TEMPLATES[name], variables(rng)) for _ in range(int(80 * ROUNDS))]
    assert compare(render, cases) > 0.2
    for (template, given), answer in zip(cases, render(cases), strict=True):  # nothing is left out
        assert ("text" in answer) == (jinja(template, given)[0] is not None), answer


def test_edits_of_templates(render):
    rng = random.Random(1)
    sources = list(TEMPLATES.values())
    cases = [(edited(rng, rng.choice(sources)), variables(rng)) for _ in range(int(1500 * ROUNDS))]
    assert compare(render, cases) > 0.1


def test_random_programs(render):
    rng = random.Random(2)

    @lru_cache(None)
    def is_valid(expression):
        return jinja("{{ " + expression + " }}", CONTEXT)[0] is not None

    cases = [(Program(rng, is_valid).template(), CONTEXT) for _ in range(int(300 * ROUNDS))]
    assert compare(render, cases) > 0.25


# ---- one construct each


def same(render, templates, given=CONTEXT):
    """All of them are rendered, as Jinja does it."""
    for template, answer in zip(templates, render([(t, given) for t in templates]), strict=True):
        text, why = jinja(template, given)
        assert answer == {"text": text}, (template, why)


def test_expressions(render):
    expressions = [
        "1 + 2 * 3 - 4", "7 // 2", "-7 // 2", "7 % -3", "-7 % 3", "7 / 2", "2 ** 3 ** 2", "-2 ** 2",
        "7.5 // 2", "-7.5 % 2", "1e16", "1e15", "1e-5", "0.1 + 0.2", "True + True",
        "1 == 1.0 == true", "1 < 2 < 3 > 1", "'a' < 'b' < 'B'", "[1, 2] < [1, 3]", "not 1 in [2]",
        "1 not in [2]", "'a' ~ 1 ~ none ~ 2.0 ~ [1] ~ {}", "'a' 'b' \"c\"", "(1,)", "()",
        "(1, 'a', (2,))", "[1, [2, {'a': none}]]", "{'a': 1, 'b': [true]}", "{1: 'x', 1.0: 'y'}",
        "1 if missing else 2", "1 if missing", "missing", "missing.x if missing else 'n'", "none",
        "true and 'x'", "0 or ''", "'' or missing or 'z'", "-1|abs", "(-1)|abs", "- 1 | abs ~ 'x'",
        "xs|length + 1", "missing|length", "missing == nothing", "missing == missing", "[missing]",
        "'x' * 3", "3 * [1]", "s[1]", "s[-1]", "s[9]", "s[1:3]", "s[::-1]", "s[-3:]", "s[:-9]",
        "u[1:3]", "u[::-2]", "u|length", "xs[::2]", "xs[-1:0:-1]", "d.b", "d['a']", "d.items()",
        "d.items", "d.keys() | list", "deep.items()|list", "deep.keys", "deep['keys']",
        "deep.l[0].v[1]", "d.get('zz', 5)", "d.get('b')", "d.zz", "xs.0", "xs[true]",
        "'a,b'.split(',')", "' a  b '.split()", "'a b c'.split(none, 1)", "'aXbXc'.rsplit('X', 1)",
        "t.strip()", "'xxaxx'.strip('x')", "'abc'.replace('', '-')", "'aaa'.replace('a', 'b', 2)",
        "'Hello'.find('l')", "'é東x'.find('x')", "'a\\nb\\r\\nc'.splitlines()",
        "'%s %d %%' % ('a', 3)", "'{} {}'.format(1, 'x')", "'{1}{0}{k}{{'.format(1, 2, k=3)",
        "'hello world'.title()", "'hELLO'.capitalize()", "'-5'.zfill(4)", "xs|sort",
        "xs|sort(reverse=true)", "ys|sort", "ys|sort(case_sensitive=true)", "xs|unique|list",
        "d|dictsort", "d|dictsort(true)", "d|items|list", "xs|map('string')|list",
        "messages|map(attribute='role')|join(',')",
        "messages|selectattr('role', 'equalto', 'user')|list|length",
        "messages|rejectattr('n')|map(attribute='role')|list", "xs|select('odd')|list",
        "xs|reject('in', [1])|list", "xs|join('-')", "xs|sum", "xs|max", "xs|min", "[]|max",
        "xs|first", "xs|last", "[]|first", "d|first", "s|first", "s|list", "xs|reverse|list",
        "s|reverse", "'5'|int + 1", "'5.7'|int", "'x'|int(9)", "'1_0'|int", "' 7 '|int", "2.7|int",
        "'1e2'|float", "'x'|float", "2.5|round", "3.5|round", "7|round", "2.1|round(method='ceil')",
        "'a\\nb\\n\\nc'|indent(2)", "'a\\nb'|indent(2, true)", "'a\\n\\nb'|indent(2, blank=true)",
        "'hello (world) [x'|title", "'x'|center(5)", "missing|default('d')", "''|d('d', true)",
        "nothing|default('d')", "nothing|d('d', true)", "'<a>'|e", "'<a>'|safe ~ '<'",
        "('<a>'|safe) + '<'", "'<' + ('<a>'|safe)", "'x'|safe|upper", "messages|tojson",
        "deep|tojson(indent=2)", "d|tojson(sort_keys=true)", "u|tojson(ensure_ascii=true)",
        "xs|tojson(separators=(',', ':'))", "[]|tojson(indent=1)",
        "{1: 2, none: 3, true: 4}|tojson", "'\\x7f\\x00\"\\\\'|tojson", "big", "big|tojson",
        "big|int", "big > 5", "[big, f]", "range(5)|list", "range(5, 0, -2)|list", "range(3)",
        "range(2)|last", "dict(d, z=1)", "dict([('a', 1)])", "namespace(a=1).a", "namespace(a=1).b",
        "s is string", "s is not mapping", "missing is sequence", "missing is iterable",
        "missing is callable", "d is sequence", "1 is number and true is number", "true is integer",
        "1 is integer", "1.0 is float", "nothing is none", "3 is divisibleby 3", "'a' is in 'abc'",
        "s is sameas none", "none is sameas none", "'A' is upper", "'' is lower",
        (
            "['a', \"it's\", '\"', \"'\\\"\", '\\n\\t\\r\\\\', '\\x00\\x1f\\x7f\\xa0\\xad', "
            "'é\\u200b\\u2028😀']"
        ),
        "s.upper", "xs.append", "d.pop is defined", "s.nothing is defined", "loop",
        "loop is defined", "caller is defined",
    ]  # fmt: skip
    broken = {"d.items", "deep.keys", "s.upper"}  # Jinja prints an address
    same(render, ["{{ " + e + " }}" for e in expressions if e not in broken])


def test_scopes(render):
    same(render, [
        "{% set x = 1 %}{% for i in xs %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
        "{% for x in xs %}{{ x }}{% endfor %}{{ x }}",
        "{% set x = 9 %}{% for x in xs %}{{ x }}{% endfor %}{{ x }}",
        "{% if yes %}{% set s = 'in' %}{% endif %}{{ s }}",
        (
            "{% if no %}{% set s = 'in' %}{% endif %}{{ s }}{% if no %}{% set q = 1 %}{% endif %}"
            "{{ q }}"
        ),
        "{% for i in xs %}{% if loop.first %}{% set q = i %}{% endif %}{{ q }}{% endfor %}",
        (
            "{% set ns = namespace(n=0) %}{% for i in xs %}{% set ns.n = ns.n + i %}{% endfor %}{{ "
            "ns.n }}"
        ),
        "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}",
        (
            "{% for i in xs %}{% macro f() %}{{ i }}{{ loop.index }}{% endmacro %}{{ f() }}{% "
            "endfor %}"
        ),
        (
            "{% macro f(a, b=a, c='d') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}{{ f(1, c=2) "
            "}}{{ f() }}"
        ),
        "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, q=3) }}",
        "{% macro f(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{{ f(1) }}{{ x }}",
        "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
        "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}{{ s }}{% endcall %}",
        (
            "{% macro f() %}{{ caller(1) }}{{ caller(2, b=3) }}{% endmacro %}{% call(a, b='z') f() "
            "%}{{ a }}{{ b }}{% endcall %}"
        ),
        "{% set q %}a{% set s = 'inner' %}{{ s }}{% endset %}{{ q }}{{ s }}",
        "{% with a = 1, s = s ~ '!' %}{{ a }}{{ s }}{% endwith %}{{ a }}{{ s }}",
        "{% generation %}{% set s = 'g' %}{{ s }}{% endgeneration %}{{ s }}",
        "{% filter upper %}{% set s = 'g' %}{{ s }}x{% endfilter %}{{ s }}",
        "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
        "{% for k, v in d.items() if v %}{{ k }}={{ v }};{% else %}none{% endfor %}",
        (
            "{% for i in empty %}x{% else %}none{% endfor %}{% for i in missing %}x{% else %}"
            "none{% endfor %}"
        ),
        (
            "{% for i in xs %}{% break %}{% else %}none{% endfor %}{% for i in xs %}{% continue %}"
            "{% else %}none{% endfor %}"
        ),
        (
            "{% for i in xs %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 2 %}{% break %}{% "
            "endif %}{{ i }}{% endfor %}"
        ),
        (
            "{% for i in xs %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.previtem }}{{ "
            "loop.nextitem }}{{ loop.last }} {% endfor %}"
        ),
        (
            "{% for i in xs %}{% for j in ys %}{{ loop.index }}{% endfor %}{{ loop.index }}{% "
            "endfor %}"
        ),
        "{% for i in xs if i > 1 %}{{ loop.length }}{{ loop.first }}{{ loop.last }}{% endfor %}",
        "{% for i in xs %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }}{% endfor %}",
        "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}",
        (
            "{% set g = xs|map('string') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}"
            "again{% endfor %}"
        ),
        (
            "{% set ns = namespace(f=1) %}{% for x in xs if ns.f %}{% set ns.f = 0 %}{{ x }}{% "
            "endfor %}"
        ),
        (
            "{% set ns = namespace(f=1) %}{% for x in xs if ns.f %}{{ loop.last }}{% set ns.f = 0 "
            "%}{{ x }}{% endfor %}"
        ),
    ])  # fmt: skip


def test_white_space(render):
    same(render, [
        "  {% if yes %}  \n  a  \n  {% endif %}  \n b",
        "a \n {%- if yes -%} \n b \n {%- endif -%} \n c", "x\n\n", "x\r\n", "x\r\ny\rz",
        "{%+ if yes +%} \n a {%+ endif %}\n", "  {# c #}  \nx", "  {#- c -#}  \nx",
        "a\n  {# c +#}\nx", "  {{ s }}  \n  {{- s -}} \n x", "{% raw %} {{ x }} {% endraw %}",
        "  {%- raw -%}  {% x %}  {%- endraw -%}  y", "a\n  {% raw %}\n b\n  {% endraw %}\nc",
        "a\u00a0\u2028{%- if yes -%}\u3000\x1c\x85b{%- endif %}",
        "\t{% if yes %}\t{{ s }}\t{% endif %}\t\n", "{%if yes%}a{%endif%}",
        "{% if yes %}\n{% endif %}\n{% if yes %}\n\n{% endif %}", "{{ '\\n' }}\n",
        "{{-1}}{{+1}}{{ - 1 }}", "{ { {% if yes %}}}{% endif %}%}#}", "x{##}y{#-#}z{#--#} w",
        "\n  {% set q = 1 %}\n  {% set q = 2 %}\n", "é{%- set q = 1 -%}\n\u00e9",
    ])  # fmt: skip


def test_dates(render):
    fields = [
        "%Y-%m-%d",
        "%d %b %Y",
        "%B %d, %Y",
        "%A %a %j %H:%M %I%p %y %%",
        "%-d.%-m. %e %-H %-I %-M %-j %-y é",
    ]
    for field in fields:
        before, answer, after = (
            datetime.now(),
            render([("{{ strftime_now('" + field + "') }}", {})])[0],
            datetime.now(),
        )
        assert answer["text"] in (before.strftime(field), after.strftime(field))


# ---- every character


def characters(last):
    """All that Python's Unicode has, and every 97th of those that it has not."""
    codes = (c for c in range(last) if not 0xD800 <= c <= 0xDFFF)
    return [c for c in codes if c % 97 == 0 or unicodedata.category(chr(c)) not in ("Cn", "Co")]


def check_characters(render, template, expected, last=0x110000):
    """Each character is printed as Python prints it, or refused; gives those that are refused."""
    everything, refused = characters(last), []
    blocks = [everything[i : i + 512] for i in range(0, len(everything), 512)]
    while blocks:
        requests = [(template, {"xs": [chr(c) for c in block]}) for block in blocks]
        halves = []
        for block, answer in zip(blocks, render(requests), strict=True):
            if "text" in answer:
                assert answer["text"] == "".join(expected(chr(c)) + "|" for c in block), block[:1]
            elif len(block) == 1:
                refused += block
            else:
                halves += [block[: len(block) // 2], block[len(block) // 2 :]]
        blocks = halves
    return refused


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x|trim", str.strip),
        ("x|tojson", lambda c: json.dumps(c, ensure_ascii=False)),
        ("x|tojson(ensure_ascii=true)", json.dumps),
        ("(x ~ 'a').splitlines()|length", lambda c: str(len((c + "a").splitlines()))),
        ("(x ~ 'a' ~ x).split()|length", lambda c: str(len((c + "a" + c).split()))),
    ],
)
def test_every_character(render, expression, expected):
    template = "{% for x in xs %}{{ " + expression + " }}|{% endfor %}"
    assert check_characters(render, template, expected) == []


# Characters that Python's version of Unicode has and that of printable.c (14) has not: what the
# versions say that they added.
NEWER = {"14.0.0": 0, "15.0.0": 4489, "15.1.0": 4489 + 627, "16.0.0": 4489 + 627 + 5185}


@pytest.mark.parametrize(
    ("expression", "expected", "most"),
    [
        ("x|upper", str.upper, 3400),
        ("x|lower", str.lower, 3400),
        ("x|capitalize", str.capitalize, 3400),
        ("[x]", lambda c: repr([c]), NEWER[unicodedata.unidata_version]),
    ],
)
def test_every_character_whose_meaning_depends_on_unicode(render, expression, expected, most):
    """Refused are characters that some version of Unicode has not, and letters of rare cases."""
    template = "{% for x in xs %}{{ " + expression + " }}|{% endfor %}"
    refused = check_characters(render, template, expected)
    assert len([c for c in refused if unicodedata.category(chr(c)) not in ("Cn", "Co")]) <= most
    assert not [c for c in refused if c < 0xDF and c != 0xB5]


def test_every_first_letter_of_a_word(render):
    template = "{% for x in xs %}{{ (x ~ 'aB ' ~ x).title() }}|{% endfor %}"
    refused = check_characters(render, template, lambda c: (c + "aB " + c).title(), 0x3000)
    assert not [c for c in refused if c < 0x80]


def test_letters_of_the_family_s_languages_are_known(render):
    texts = [
        "Ärger über Öl", "déjà vu œuvre", "¿Qué año?", "Ελληνικά", "Привет, мир", "日本語 テスト ひらがな",
        "한국어", "العربية", "हिन्दी", "ไทย", "中文，。", "Việt Nam", "Çağ", "łódź", "±×÷√∞≠", "…“”‘’—–•",
        "😀🦙👩‍👩‍👧", "①½²",
    ]  # fmt: skip
    for text in texts:
        same(render, ["{{ [s] }}{{ {s: [s]} }}{{ s|upper }}{{ s|lower }}"], {"s": text})


# ---- refusals


@pytest.mark.parametrize(
    ("template", "at", "said"),
    [
        ("a\n{{ x|nosuch }}", "load", "line 2: the filter 'nosuch' is not known; expected one of"),
        ("{{ x is nosuch }}", "load", "the test 'nosuch' is not known; expected one of boolean,"),
        ("{{ x | map('nosuch') }}", "load", "the filter 'nosuch' is not known"),
        ("{{ x | selectattr('a', 'nosuch') }}", "load", "the test 'nosuch' is not known"),
        ("\n\n{% include 'x' %}", "load", "line 3: the tag 'include' is not known; expected one"),
        ("{% if x %}\n{% endfor %}", "load", "line 2: the tag 'endfor' is not known here, inside"),
        ("{% if x %}\n{% endfor %}", "load", "inside of the 'if' of line 1; expected one of"),
        ("{% for x in xs %}", "load", "line 1: the 'for' is not closed, expected 'endfor'."),
        ("{% for x in xs recursive %}{% endfor %}", "load", "a recursive loop is not supported"),
        ("{% break %}", "load", "'break' or 'continue' stands outside of a loop"),
        ("{% for x in s %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", "load", "outside"),
        ("{{ x", "load", "a tag is not closed, expected }}."),
        ("{% set x = 1", "load", "a tag is not closed, expected %}."),
        ("{{ 'x }}", "load", "a string is not closed"),
        ("{{ (1 }}", "load", "a tag closes a bracket that is not open"),
        ("{# x", "load", "a comment is not closed"),
        ("{% raw %}x", "load", "{% raw %} is not closed"),
        ("{{ 1 + }}", "load", "the end of the tag stands where a value was expected."),
        ("{{ 1 2 }}", "load", "'2' stands where the end of the tag was expected."),
        ("{{ a.__class__ }}", "load", "'__class__' is not allowed"),
        ("{{ cycler('a') }}", "load", "'cycler' is not supported"),
        ("{{ f(*xs) }}", "load", "* and ** in front of an argument"),
        ("{{ f(a=1, a=2) }}", "load", "the argument 'a' is given twice"),
        ("{{ f(a=1, 2) }}", "load", "an argument follows one with a name"),
        ("{% macro f(a, a) %}{% endmacro %}", "load", "the parameter 'a' stands twice"),
        ("{% macro f(a=1, b) %}{% endmacro %}", "load", "a parameter without a default follows"),
        ("{% set 1 = 2 %}", "load", "a value is assigned to what is no name"),
        ("{% for loop in xs %}{% endfor %}", "load", "assigns to 'loop'"),
        ("{{ $ }}", "load", "a character that does not belong there"),
        ("{{ é }}", "load", "a character that does not belong there"),
        ("{{ '\\N{DASH}' }}", "load", "a string has an escape that is not supported"),
        ("{{ '\\ud800' }}", "load", "a string has an escape that is not supported"),
        ("{{ 99999999999999999999 }}", "load", "a number is too large"),
        ("{{ {[1]: 2} }}", "load", "a dict's key is neither a literal nor a name"),
        ("{{ missing.x }}", "render", "line 1: 'missing' is undefined."),
        ("\n{{ d.zz.x }}", "render", "line 2: a dict has nothing called 'zz'."),
        ("{{ s + 1 }}", "render", "a string + an integer is not defined."),
        ("{{ 1 < 'a' }}", "render", "an integer and a string have no order."),
        ("{{ 1 / 0 }}", "render", "a division by zero."),
        ("{{ 9223372036854775807 + 1 }}", "render", "the result of + does not fit into 64 bits."),
        ("{{ xs.append(4) }}", "render", "'append' is not allowed in a chat template."),
        ("{{ xs|map('string') }}", "render", "an iterator is printed, expected text or data."),
        ("{{ s.upper }}", "render", "a method is printed"),
        ("{{ raise_exception('Roles ' ~ 'alternate') }}", "render", "line 1: Roles alternate"),
        ("{% set s.x = 1 %}", "render", "'s' is a string; only a namespace's attributes are"),
        ("{% macro f() %}{% endmacro %}{{ f(1) }}", "render", "the macro 'f' gets 1 arguments"),
        ("{% macro f() %}{% endmacro %}{{ f(a=1) }}", "render", "'f' has no parameter 'a'."),
        ("{{ [s, xs]|sort }}", "render", "have no order"),
        ("{{ strftime_now('%c') }}", "render", "a field of strftime_now's format is not supported"),
        ("{{ s|replace('a') }}", "render", "replace needs the argument 'new'."),
        ("{{ s.split('') }}", "render", "a text is split at an empty one."),
    ],
)  # fmt: skip
def test_what_is_refused(render, template, at, said):
    answer = render([(template, CONTEXT)])[0]
    assert (
        answer["at"] == at
        and answer["error"].startswith("template, line ")
        and said in answer["error"]
    ), answer

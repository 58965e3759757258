"""Random templates that parse: expressions of mostly fitting types, and every statement."""

STRINGS = [
    "'a'", "''", "'Hello World'", '"é"', "'a,b,,c'", "'  x \\n'", "'<think>b</think>c'", "'12'",
    "'3.5'", "'-7'", "'\\'q\\' \"d\" \\\\'", "'東京🦙'", "'\\u00e9\\t\\x41\\101'", "'a' 'b'",
    "'%s-%s'", "'{}{}'", "'\\n\\r\\n'", "'A-b (c) [d]'", "'<&>'", "'ÀÉ ß'", "'\\x00'", "'\\q'",
]  # fmt: skip
INTEGERS = ["0", "1", "2", "3", "7", "10", "-1", "-4", "100", "0x1f", "0b11", "1_000", "true"]
FLOATS = ["1.0", "2.5", "-0.5", "1e3", "0.1", "1e22", "1e-7", "3.0", "1_0.5", "0.0"]
VARIABLES = {
    "s": "str", "t": "str", "u": "str", "n": "int", "m": "int", "f": "float", "big": "int",
    "xs": "list", "ys": "list", "empty": "list", "d": "dict", "e": "dict", "messages": "list",
    "nothing": "none", "yes": "bool", "no": "bool", "missing": "any", "deep": "dict",
    "ns": "namespace", "loop": "any", "local": "any", "other": "any", "bos_token": "str",
}  # fmt: skip
CONTEXT = {
    "s": "Hello", "t": "  spaced\n", "u": "Ünï 東", "n": 5, "m": -3, "f": 2.5, "big": 10**20,
    "xs": [3, 1, 2, 1], "ys": ["b", "A", "c", "a"], "empty": [], "d": {"b": 1, "a": "x", "C": None},
    "e": {}, "nothing": None, "yes": True, "no": False, "bos_token": "<s>",
    "deep": {
        "l": [{"k": 1, "v": [1.5, "é\"'"]}, {"k": 2}], "items": [1], "keys": "k", "x": {"y": 0},
    },
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <there>"},
        {"role": "assistant", "content": "<think>\nx\n</think>\n\nYo", "n": 1},
        {"role": "user", "content": [{"type": "text", "text": "ü"}, {"type": "image"}]},
    ],
}  # fmt: skip
TO_STRING = [
    "trim", "upper", "lower", "title", "capitalize", "string", "replace('a', 'b')", "trim('x ')",
    "replace('', '-')", "replace('b', '', 1)", "indent", "indent(2, true)",
    "indent('>', blank=true)", "center(9)", "reverse", "safe", "e", "tojson", "default('D', true)",
    "first", "last", "format(1, 'b')", "replace(old='a', new='z', count=1)",
]  # fmt: skip
LIST_FILTERS = [
    "list", "sort", "sort(reverse=true)", "unique|list", "reverse|list", "map('string')|list",
    "map('upper')|list", "select|list", "select('string')|list", "reject('odd')|list",
    "map(attribute='role')|list", "map(attribute='n', default=0)|list", "sort(attribute='role')",
    "selectattr('role', 'equalto', 'user')|list", "rejectattr('n')|list",
    "selectattr('n', 'defined')", "map('length')", "select('in', [1, 2])", "batch(2)",
    "sort(case_sensitive=true)", "items|list", "dictsort", "dictsort(false, 'value')",
    "dictsort(reverse=true)", "map('tojson')|list", "unique(case_sensitive=true)|list",
    "map(attribute='content.0.text')|list", "map('trim', 'a')",
]  # fmt: skip
TO_SCALAR = [
    "length", "count", "first", "last", "sum", "max", "min", "join", "join(', ')", "tojson",
    "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(ensure_ascii=true)", "string",
    "tojson(separators=(',', ':'))", "join('-', attribute='role')", "d(1)", "default", "int",
    "float", "round", "abs", "round(0, 'ceil')", "round(method='floor')", "int(9)", "sum(start=1)",
    "sum(attribute='n')", "max(attribute='k')", "tojson(indent=0)", "tojson(indent='\t')",
]  # fmt: skip
TESTS = [
    "defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number",
    "integer", "float", "boolean", "true", "false", "in [1, 'a']", "in 'abc'", "equalto 1", "odd",
    "even", "divisibleby 2", "divisibleby(3)", "sameas none", "callable", "escaped", "lower",
    "upper", "eq 'a'", "ne(1)", "lt 3", "ge 2", "gt(f)", "not none", "not string", "not in xs",
]  # fmt: skip
METHODS = [
    ".strip()", ".lstrip()", ".rstrip('\\n')", ".upper()", ".lower()", ".title()", ".capitalize()",
    ".split()", ".split(',')", ".split(',', 1)", ".rsplit(' ', 1)", ".split('</think>')[-1]",
    ".startswith('a')", ".endswith(('o', 'd'))", ".replace('a', 'bb')", ".find('l')", ".rfind('l')",
    ".count('l')", ".splitlines()", ".splitlines(true)", ".join(ys)", ".format(1, 'x')",
    ".isdigit()", ".index('l')", ".zfill(5)", ".center(8, '*')", ".partition(' ')",
    ".removeprefix('He')", ".isupper()", ".split(sep='l', maxsplit=1)", ".rpartition('l')",
    ".ljust(7)", ".rjust(7, '.')", ".get('a')", ".get('z', 9)", ".items()", ".keys()", ".values()",
    ".items()|list", ".copy()", ".append(1)", ".pop()", ".index(1)", ".count(1)", ".update(e)",
    ".a", ".b", ".role", ".content", ".items", ".keys", ".x.y", "['a']", "['items']", "[0]", "[-1]",
    "[9]", "[n]", "[s]", "[none]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[-2:]", "[5:1:-2]", "[:n]",
    "[m:]", ".l[0].v", "[true]", "[1.0]", "[0].content", ".0", ".real", "['__class__']", "._x",
    ".format", "[0]['role']",
]  # fmt: skip
LOOP = [
    "loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex",
    "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')", "loop.changed(x)",
    "loop.depth", "loop['index']", "loop.nothing", "loop|length", "loop is defined",
    "loop.previtem is defined", "loop.nextitem is undefined",
]  # fmt: skip
SIGNS = ["+", "-", "*", "/", "//", "%", "~", "**"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]


class Program:
    """`is_valid` says whether Jinja takes an expression; of those it does not, few are used."""

    def __init__(self, rng, is_valid=lambda expression: True):
        self.rng = rng
        self.is_valid = is_valid
        self.macros = []
        self.n_names = 0
        self.in_loop = False

    def one(self, choices):
        return self.rng.choice(choices)

    def chance(self, p):
        return self.rng.random() < p

    def template(self):
        return self.body(0, self.rng.randint(2, 6), [])

    # ---- expressions

    def variable(self, kind, names):
        fitting = [v for v, k in VARIABLES.items() if k == kind] + names
        return self.one(fitting) if fitting and not self.chance(0.1) else self.one([*VARIABLES])

    def literal(self, kind, depth, names):
        if kind == "str":
            return self.one(STRINGS)
        if kind == "int":
            return self.one(INTEGERS)
        if kind == "float":
            return self.one(FLOATS)
        if kind == "bool":
            return self.one(["true", "false", "True", "none"])
        if kind == "dict":
            pairs = [
                f"{self.one(STRINGS)}: {self.any(depth, names)}"
                for _ in range(self.rng.randint(0, 3))
            ]
            return "{" + ", ".join(pairs) + "}"
        items = [self.any(depth, names) for _ in range(self.rng.randint(0, 4))]
        if self.chance(0.2) and items:
            return "(" + ", ".join(items) + ",)"
        return "[" + ", ".join(items) + "]"

    def any(self, depth, names):
        kinds = ["str", "str", "int", "float", "bool", "list", "dict"]
        return self.expression(self.one(kinds), depth + 1, names)

    def good(self, kind, names):
        """An expression that a statement begins with."""
        kind = kind or self.one(["str", "str", "int", "float", "bool", "list", "dict"])
        for _ in range(8):
            expression = self.expression(kind, 1, names)
            if self.is_valid(expression) or self.chance(0.01):
                return expression
        return self.one(["s", "n", "xs", "d", "1"])

    def expression(self, kind, depth, names):
        if depth > 4 or self.chance(0.35):
            if self.chance(0.5):
                return self.variable(kind, names)
            return self.literal(kind, 5 if depth > 4 else depth, names)
        shape = self.rng.randrange(12)
        inner = self.expression(kind, depth + 1, names)
        if shape == 0:
            other = self.expression(kind, depth + 1, names)
            return self.paren(f"{inner} {self.one(SIGNS[:-1])} {other}")
        if shape == 1:
            return self.paren(f"{inner} ~ {self.any(depth, names)}")
        if shape == 2:
            filters = {"str": TO_STRING, "list": LIST_FILTERS + TO_SCALAR}.get(kind, TO_SCALAR)
            return f"{inner}|{self.one(filters if self.chance(0.85) else TO_STRING + LIST_FILTERS)}"
        if shape == 3:
            return self.paren(f"{inner} is {self.one(TESTS)}")
        if shape in (4, 5):
            return f"{self.operand(inner)}{self.one(METHODS)}"
        if shape == 6:
            sign = self.one(COMPARISONS)
            chain = (
                f" {self.one(COMPARISONS)} {self.any(depth, names)}" if self.chance(0.15) else ""
            )
            return self.paren(f"{inner} {sign} {self.any(depth, names)}{chain}")
        if shape == 7:
            word = self.one(["and", "or"])
            return self.paren(f"{inner} {word} {self.one(['', 'not '])}{self.any(depth, names)}")
        if shape == 8:
            other = f" else {self.any(depth, names)}" if self.chance(0.8) else ""
            return self.paren(f"{inner} if {self.any(depth, names)}{other}")
        if shape == 9:
            return self.call(depth, names)
        if shape == 10:
            return f"{self.one(['-', '+', 'not '])}{self.operand(inner)}"
        return self.one(LOOP) if self.chance(0.5) else inner

    def operand(self, text):
        return text if text[:1].isalnum() or text[0] in "'\"([" else f"({text})"

    def paren(self, text):
        return f"({text})" if self.chance(0.8) else text

    def call(self, depth, names):
        if self.macros and self.chance(0.6):
            arguments = [self.any(depth, names) for _ in range(self.rng.randint(0, 3))]
            if self.chance(0.3):
                arguments.append(f"{self.one(['a', 'b', 'c', 'q'])}={self.any(depth, names)}")
            return f"{self.one(self.macros)}({', '.join(arguments)})"
        return self.one([
            "range(3)", "range(1, n)", "range(n, m, -2)|list", "dict(a=1)", "dict(d, b=2)",
            "namespace(a=s).a", "dict([('k', 1)])", "'%s|%d' % (s, n)", "range(3)[1]", "caller()",
            "varargs", "kwargs", "range(0)",
        ])  # fmt: skip

    # ---- statements

    def tag(self, text):
        before = self.one(["", "", "-", "-", "+"])
        behind = self.one(["", "", "-", "-", "+"])
        return "{%" + before + " " + text + " " + behind + "%}"

    def output(self, names):
        before, behind = self.one(["", "-"]), self.one(["", "-"])
        kind = self.one(["str", "str", "int", "list", "dict", "float", "bool"])
        return "{{" + before + " " + self.good(kind, names) + " " + behind + "}}"

    def text(self):
        return self.one(
            ["", " ", "\n", "\n  ", "a", "x\n", " b ", "\t\n\n", "{ ", "}}", "é\u2028", "\r\n"]
        )

    def name(self):
        self.n_names += 1
        return self.one(["local", "other", "x", "y", "s", "messages", f"v{self.n_names}"])

    def body(self, depth, n, names):
        names = list(names)
        parts = []
        for _ in range(n):
            parts.append(self.text())
            parts.append(self.statement(depth, names) if depth < 4 else self.output(names))
        return "".join(parts) + self.text()

    def inner(self, depth, names, in_loop=None):
        """What stands inside of a block; macros and the like are functions, so no loop's inside."""
        before = self.in_loop
        self.in_loop = before if in_loop is None else in_loop
        text = self.body(depth + 1, self.rng.randint(1, 3), names)
        self.in_loop = before
        return text

    def statement(self, depth, names):
        makers = [
            self.output, self.output, self.output, self.set, self.set, self.set_namespace,
            self.set_block, self.if_block, self.if_block, self.for_block, self.for_block,
            self.macro, self.call_block, self.with_block, self.filter_block, self.generation,
            self.raw, self.comment, self.jump, self.jump,
        ]  # fmt: skip
        maker = self.one(makers)
        if maker in (self.output,):
            return maker(names)
        return maker(depth, names)

    def set(self, depth, names):
        kind = self.one(["str", "int", "list", "dict", "bool"])
        if self.chance(0.15):
            a, b = self.name(), self.name()
            names += [a, b]
            return self.tag(f"set {a}, {b} = {self.good(None, names)}, {self.good(None, names)}")
        name = self.name()
        text = self.tag(f"set {name} = {self.good(kind, names)}")
        names.append(name)
        return text

    def set_namespace(self, depth, names):
        value = self.good(None, names)
        make = self.tag("set ns = namespace(a=1, out='')") if self.chance(0.9) else ""
        return make + self.tag(f"set ns.{self.one(['a', 'b', 'out'])} = {value}")

    def set_block(self, depth, names):
        name = self.name()
        filters = f" | {self.one(TO_STRING)}" if self.chance(0.3) else ""
        text = self.tag(f"set {name}{filters}") + self.inner(depth, names) + self.tag("endset")
        names.append(name)
        return text

    def if_block(self, depth, names):
        text = self.tag(f"if {self.good(None, names)}") + self.inner(depth, names)
        if self.chance(0.3):
            text += self.tag(f"elif {self.good(None, names)}") + self.inner(depth, names)
        if self.chance(0.5):
            text += self.tag("else") + self.inner(depth, names)
        return text + self.tag("endif")

    def for_block(self, depth, names):
        target = self.one(["x", "y", "x, y", "message", "s", "(x, y), z", "local"])
        kind = self.one(["list", "list", "dict", "str"])
        items = self.good(kind, names)
        if "," in target:
            items = self.one(
                ["d.items()", "d|dictsort", "deep.items()", "[(1, 2), (3, 4)]", "e|items", items]
            )
        inside = [*names, *target.replace("(", "").replace(")", "").split(", "), "loop.index"]
        test = f" if {self.good(None, inside)}" if self.chance(0.3) else ""
        text = self.tag(f"for {target} in {items}{test}") + self.inner(depth, inside, True)
        if self.chance(0.25):
            text += "{{ " + self.one(LOOP) + " }}"
        if self.chance(0.3):
            text += self.tag("else") + self.inner(depth, names)
        return text + self.tag("endfor")

    def macro(self, depth, names):
        name = f"f{len(self.macros)}"
        parameters = self.one(
            ["", "a", "a, b", "a, b=1", "a, b=a", "a='d', c=n", "s, a=s", "x=1, caller=0"]
        )
        inside = [*names, *[p.split("=")[0] for p in parameters.split(", ") if p]]
        special = self.one(
            ["", "", "", "{{ caller() }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller('q') }}"]
        )
        text = self.tag(f"macro {name}({parameters})") + self.inner(depth, inside, False) + special
        self.macros.append(name)
        return text + self.tag("endmacro")

    def call_block(self, depth, names):
        if not self.macros:
            return self.macro(depth, names)
        parameters = self.one(["", "(x)", "(x, y=2)"])
        call = f"{self.one(self.macros)}({self.one(['', '1', 's, 2', 'a=1'])})"
        return (
            self.tag(f"call{parameters} {call}")
            + self.inner(depth, [*names, "x"], False)
            + self.tag("endcall")
        )

    def with_block(self, depth, names):
        name = self.name()
        text = self.tag(f"with {name} = {self.good(None, names)}, x = {self.good(None, names)}")
        return text + self.inner(depth, [*names, name]) + self.tag("endwith")

    def filter_block(self, depth, names):
        return (
            self.tag(f"filter {self.one(TO_STRING)}")
            + self.inner(depth, names)
            + self.tag("endfilter")
        )

    def generation(self, depth, names):
        return self.tag("generation") + self.inner(depth, names, False) + self.tag("endgeneration")

    def raw(self, depth, names):
        inside = self.one([" {{ x }} ", "\n{% if %}\n  ", ""])
        return self.one(["{% raw %}", "{%- raw -%}", "{%+raw%}"]) + inside + self.tag("endraw")

    def comment(self, depth, names):
        return (
            "{#"
            + self.one(["", "-"])
            + self.one([" c ", "\n{{ x }}\n", ""])
            + self.one(["", "-", "+"])
            + "#}"
        )

    def jump(self, depth, names):
        if not self.in_loop and not self.chance(0.02):
            return self.output(names)
        word = self.one(["break", "continue"])
        return self.tag(f"if {self.good(None, names)}") + self.tag(word) + self.tag("endif")

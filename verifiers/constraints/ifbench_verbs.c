// Verbs by their form, for a text's first word. The published checker asks a trained tagger, which
// looks at the words behind too; this is a list of English verbs and their regular -ing and -ed
// forms, with these differences: a word of the list that is used as a noun ("Focus groups ...")
// counts as a verb, a verb that is not listed does not, and neither do forms in -s but those of be,
// have and do. Modal verbs (can, must) are none, as for the tagger. On the beginnings of 11,467
// public prompts and responses a perceptron tagger of the same kind agrees for 95 of 100; most of
// the others are imperatives that it takes for names ("Evaluate", "Solve").
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"

// Infinitives.
static const char *const BASES[] = {
    "abandon",     "absorb",      "accept",      "accompany",   "accomplish",  "accord",
    "account",     "achieve",     "acknowledge", "acquire",     "act",         "activate",
    "adapt",       "add",         "address",     "adjust",      "administer",  "admire",
    "admit",       "adopt",       "advance",     "advertise",   "advise",      "advocate",
    "affect",      "afford",      "agree",       "aim",         "alert",       "align",
    "allocate",    "allow",       "alter",       "alternate",   "amplify",     "analyse",
    "analyze",     "announce",    "answer",      "anticipate",  "apologise",   "apologize",
    "appear",      "apply",       "appoint",     "appreciate",  "approach",    "approve",
    "argue",       "arise",       "arrange",     "arrive",      "ask",         "aspire",
    "assemble",    "assert",      "assess",      "assign",      "assist",      "assume",
    "assure",      "attach",      "attack",      "attain",      "attempt",     "attend",
    "attract",     "author",      "automate",    "avoid",       "await",       "awake",
    "award",       "bake",        "balance",     "ban",         "base",        "bathe",
    "battle",      "be",          "bear",        "beat",        "become",      "beg",
    "begin",       "behave",      "behold",      "believe",     "belong",      "bend",
    "benefit",     "bet",         "beware",      "bid",         "bind",        "blame",
    "blend",       "bless",       "block",       "blow",        "boast",       "boil",
    "book",        "boost",       "borrow",      "bother",      "bounce",      "bow",
    "brace",       "break",       "breathe",     "bring",       "broadcast",   "browse",
    "brush",       "build",       "burn",        "bury",        "buy",         "calculate",
    "call",        "calm",        "capture",     "care",        "carry",       "carve",
    "cast",        "catch",       "cause",       "celebrate",   "challenge",   "change",
    "charge",      "chase",       "check",       "cheer",       "choose",      "chop",
    "cite",        "claim",       "clarify",     "classify",    "clean",       "clear",
    "click",       "climb",       "close",       "collaborate", "collapse",    "collect",
    "combat",      "combine",     "come",        "comfort",     "commemorate", "commit",
    "communicate", "compare",     "compel",      "compete",     "compile",     "complain",
    "complete",    "comply",      "compose",     "compute",     "conceal",     "concentrate",
    "conclude",    "condense",    "conduct",     "confirm",     "confront",    "connect",
    "conquer",     "consider",    "consist",     "consolidate", "construct",   "consult",
    "consume",     "contact",     "contain",     "contemplate", "continue",    "contribute",
    "control",     "convene",     "converse",    "convert",     "convey",      "convince",
    "cook",        "cool",        "cooperate",   "coordinate",  "cope",        "copy",
    "correct",     "cost",        "count",       "cover",       "craft",       "create",
    "criticize",   "cross",       "crush",       "cry",         "cultivate",   "curate",
    "cut",         "dance",       "dare",        "deal",        "debate",      "debug",
    "decide",      "declare",     "decline",     "decorate",    "decrease",    "dedicate",
    "defend",      "define",      "delay",       "delegate",    "delete",      "deliver",
    "delve",       "demand",      "demonstrate", "deny",        "depart",      "depend",
    "depict",      "deploy",      "derive",      "describe",    "deserve",     "design",
    "desire",      "destroy",     "detach",      "detail",      "detect",      "determine",
    "develop",     "devise",      "devote",      "diagnose",    "differ",      "differentiate",
    "dig",         "diminish",    "direct",      "disagree",    "disappear",   "discard",
    "discover",    "discuss",     "dismiss",     "display",     "dissolve",    "distinguish",
    "distribute",  "dive",        "divide",      "do",          "document",    "donate",
    "doubt",       "draft",       "draw",        "dream",       "dress",       "drink",
    "drive",       "drop",        "dwell",       "earn",        "ease",        "eat",
    "edit",        "educate",     "elaborate",   "elevate",     "eliminate",   "embark",
    "embed",       "embody",      "embrace",     "emerge",      "emit",        "emphasise",
    "emphasize",   "employ",      "empower",     "enable",      "enact",       "encourage",
    "end",         "endeavor",    "endure",      "enforce",     "engage",      "enhance",
    "enjoy",       "enlist",      "ensure",      "enter",       "entertain",   "envision",
    "escape",      "establish",   "estimate",    "evaluate",    "evolve",      "examine",
    "exchange",    "excite",      "exclude",     "execute",     "exercise",    "exhibit",
    "exist",       "expand",      "expect",      "experience",  "explain",     "explore",
    "export",      "expose",      "express",     "extend",      "extract",     "face",
    "facilitate",  "fail",        "fall",        "fasten",      "fear",        "feed",
    "feel",        "fetch",       "fight",       "fill",        "filter",      "finalize",
    "find",        "finish",      "fit",         "fix",         "flip",        "float",
    "flow",        "fly",         "focus",       "fold",        "follow",      "force",
    "forecast",    "foresee",     "forget",      "forgive",     "form",        "format",
    "formulate",   "foster",      "free",        "freeze",      "fry",         "fulfill",
    "function",    "fund",        "gain",        "gather",      "generate",    "get",
    "give",        "glance",      "go",          "govern",      "grab",        "grant",
    "grasp",       "greet",       "grind",       "grow",        "guarantee",   "guard",
    "guess",       "guide",       "hail",        "handle",      "hang",        "happen",
    "harness",     "hate",        "have",        "heal",        "hear",        "heat",
    "heed",        "help",        "hide",        "highlight",   "hike",        "hire",
    "hit",         "hold",        "honor",       "hope",        "host",        "hug",
    "hunt",        "hurry",       "identify",    "ignite",      "ignore",      "illuminate",
    "illustrate",  "imagine",     "imitate",     "immerse",     "implement",   "imply",
    "import",      "impose",      "impress",     "improve",     "incorporate", "increase",
    "indicate",    "indulge",     "infer",       "inform",      "inherit",     "initiate",
    "innovate",    "inquire",     "insert",      "insist",      "inspect",     "inspire",
    "install",     "integrate",   "interact",    "interpret",   "introduce",   "invent",
    "invest",      "investigate", "invite",      "involve",     "iterate",     "jog",
    "join",        "journey",     "jump",        "justify",     "keep",        "kick",
    "kill",        "kindle",      "kiss",        "knead",       "kneel",       "knit",
    "knock",       "know",        "label",       "lack",        "laugh",       "launch",
    "lay",         "lead",        "lean",        "leap",        "learn",       "leave",
    "lend",        "let",         "leverage",    "lie",         "lift",        "light",
    "like",        "limit",       "link",        "list",        "listen",      "live",
    "load",        "locate",      "lock",        "log",         "look",        "lose",
    "love",        "lower",       "maintain",    "make",        "manage",      "march",
    "market",      "marry",       "master",      "match",       "matter",      "maximise",
    "maximize",    "mean",        "measure",     "meditate",    "meet",        "melt",
    "memorise",    "memorize",    "mention",     "merge",       "mind",        "minimise",
    "minimize",    "mitigate",    "mix",         "mock",        "modify",      "monitor",
    "motivate",    "mount",       "mourn",       "move",        "multiply",    "name",
    "narrate",     "navigate",    "need",        "negotiate",   "nominate",    "note",
    "notice",      "notify",      "nurture",     "obey",        "observe",     "obtain",
    "occur",       "offer",       "open",        "operate",     "oppose",      "optimise",
    "optimize",    "order",       "organise",    "organize",    "outline",     "overcome",
    "own",         "pack",        "paint",       "parse",       "participate", "pass",
    "pause",       "pay",         "peel",        "perceive",    "perform",     "permit",
    "persist",     "persuade",    "pick",        "picture",     "place",       "plan",
    "plant",       "play",        "plunge",      "ponder",      "pose",        "possess",
    "post",        "postpone",    "pour",        "practice",    "praise",      "pray",
    "preach",      "predict",     "prefer",      "preheat",     "prepare",     "present",
    "preserve",    "press",       "pretend",     "prevent",     "print",       "prioritise",
    "prioritize",  "proceed",     "process",     "produce",     "program",     "prohibit",
    "promise",     "promote",     "prompt",      "propose",     "protect",     "prove",
    "provide",     "publish",     "pull",        "punch",       "purchase",    "pursue",
    "push",        "put",         "qualify",     "quit",        "quote",       "race",
    "raise",       "rationalize", "reach",       "react",       "read",        "realise",
    "realize",     "rearrange",   "recall",      "receive",     "recite",      "recognise",
    "recognize",   "recommend",   "reconsider",  "record",      "recover",     "recycle",
    "reduce",      "refer",       "refine",      "reflect",     "refrain",     "refuse",
    "regard",      "register",    "regret",      "reject",      "rejoice",     "relate",
    "relax",       "release",     "rely",        "remain",      "remember",    "remind",
    "remove",      "rename",      "render",      "renew",       "repair",      "repeat",
    "replace",     "reply",       "report",      "represent",   "request",     "require",
    "rescue",      "research",    "reserve",     "resign",      "resist",      "resolve",
    "respect",     "respond",     "rest",        "restore",     "restrict",    "result",
    "retain",      "rethink",     "retire",      "retrieve",    "return",      "reuse",
    "reveal",      "reverse",     "review",      "revise",      "rewrite",     "ride",
    "ring",        "rinse",       "rise",        "roast",       "roll",        "rotate",
    "run",         "rush",        "saute",       "save",        "say",         "scale",
    "scan",        "schedule",    "scream",      "seal",        "search",      "secure",
    "see",         "seek",        "seem",        "select",      "sell",        "send",
    "separate",    "serve",       "set",         "settle",      "shake",       "shape",
    "share",       "shift",       "shine",       "ship",        "shoot",       "shop",
    "shout",       "show",        "shut",        "sift",        "sign",        "simplify",
    "simulate",    "sing",        "sit",         "skip",        "slay",        "sleep",
    "slice",       "slide",       "smell",       "smile",       "soak",        "solve",
    "sort",        "speak",       "specify",     "spell",       "spend",       "spin",
    "split",       "spread",      "sprinkle",    "stand",       "stare",       "start",
    "state",       "stay",        "steal",       "stick",       "stimulate",   "stir",
    "stop",        "store",       "strengthen",  "stretch",     "strike",      "strive",
    "structure",   "struggle",    "study",       "submit",      "subscribe",   "subtract",
    "succeed",     "suffer",      "suggest",     "suit",        "summarise",   "summarize",
    "supervise",   "supply",      "support",     "suppose",     "surround",    "survive",
    "suspect",     "sustain",     "swap",        "swear",       "sweep",       "swim",
    "switch",      "take",        "talk",        "tap",         "taste",       "teach",
    "tear",        "tell",        "tend",        "test",        "thank",       "think",
    "thrive",      "throw",       "tie",         "toss",        "touch",       "trace",
    "track",       "trade",       "train",       "transfer",    "transform",   "translate",
    "travel",      "treat",       "trim",        "trust",       "try",         "turn",
    "type",        "uncover",     "understand",  "undertake",   "unite",       "unleash",
    "unlock",      "unveil",      "update",      "upgrade",     "upload",      "urge",
    "use",         "utilise",     "utilize",     "validate",    "value",       "venture",
    "verify",      "view",        "visit",       "visualise",   "visualize",   "volunteer",
    "vote",        "wait",        "wake",        "walk",        "wander",      "want",
    "warn",        "wash",        "waste",       "watch",       "wave",        "wear",
    "weave",       "weigh",       "welcome",     "whisk",       "whisper",     "win",
    "wipe",        "wish",        "witness",     "wonder",      "work",        "worry",
    "wrap",        "write",       "yearn",       "yell",        "yield"};

// Forms that no rule makes, and the clitics that are verbs.
static const char *const OTHERS[] = {
    "'m",         "'re",    "'s",        "'ve",    "am",     "are",    "ate",    "became",  "been",
    "began",      "begun",  "being",     "born",   "bought", "broke",  "broken", "brought", "built",
    "came",       "caught", "chose",     "chosen", "did",    "does",   "doing",  "done",    "drawn",
    "drew",       "driven", "drove",     "drunk",  "eaten",  "fallen", "fell",   "felt",    "flew",
    "flown",      "forgot", "forgotten", "fought", "found",  "froze",  "frozen", "gave",    "given",
    "goes",       "going",  "gone",      "got",    "gotten", "grew",   "grown",  "had",     "has",
    "having",     "heard",  "held",      "hid",    "hidden", "is",     "kept",   "knew",    "known",
    "laid",       "led",    "left",      "lent",   "lost",   "made",   "meant",  "met",     "paid",
    "ran",        "risen",  "rode",      "said",   "sang",   "sat",    "saw",    "seen",    "sent",
    "shot",       "shown",  "slept",     "sold",   "sought", "spent",  "spoke",  "spoken",  "stole",
    "stolen",     "stood",  "struck",    "stuck",  "sung",   "swam",   "swept",  "swore",   "sworn",
    "taken",      "taught", "thought",   "threw",  "thrown", "told",   "took",   "tore",    "torn",
    "understood", "was",    "went",      "were",   "woke",   "woken",  "won",    "wore",    "worn",
    "written",    "wrote"};

static bool is_base(const char *letters, size_t len) {
    return IS_LISTED(((struct slice){letters, len}), BASES);
}

// The infinitive in front of -ing or -ed: itself ("walk"), with an e that the ending took
// ("creat"), or with its last letter doubled ("stopp").
static bool is_stem(const char *stem, size_t len) {
    char with_e[MAX_VERB_BYTES];
    if (len < 2 || len >= MAX_VERB_BYTES) return false;
    memcpy(with_e, stem, len);
    with_e[len] = 'e';
    return is_base(stem, len) || is_base(with_e, len + 1) ||
           (len > 2 && stem[len - 1] == stem[len - 2] && is_base(stem, len - 1));
}

bool is_verb(struct slice word) {
    char with_y[MAX_VERB_BYTES];
    if (word.len > MAX_VERB_BYTES) return false;
    if (IS_LISTED(word, BASES) || IS_LISTED(word, OTHERS)) return true;
    if (slice_ends(word, slice_of("ing")) && is_stem(word.ptr, word.len - 3)) return true;
    if (slice_ends(word, slice_of("ied"))) {
        memcpy(with_y, word.ptr, word.len - 3);
        with_y[word.len - 3] = 'y';
        return is_base(with_y, word.len - 2);
    }
    return slice_ends(word, slice_of("ed")) && is_stem(word.ptr, word.len - 2);
}

// With what a remark begins: "but", "wait, actually", "scratch that", "no".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_opening.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static const char *const SOFT[] = {"but",
                                   "however",
                                   "though",
                                   "although",
                                   "in fact",
                                   "so",
                                   "thus",
                                   "hence",
                                   "therefore",
                                   "yet",
                                   "and",
                                   "well",
                                   "ok",
                                   "okay",
                                   "then",
                                   "in reality",
                                   "in truth",
                                   "still",
                                   "oh",
                                   "now",
                                   "please",
                                   "rechecking",
                                   "re-checking",
                                   "checking",
                                   "double-checking",
                                   "recomputing",
                                   "recalculating",
                                   "again",
                                   "also",
                                   "except that",
                                   "that said",
                                   "having said that",
                                   "note that",
                                   "note",
                                   "nb",
                                   "alas",
                                   "nevertheless",
                                   "nonetheless",
                                   "mind you",
                                   "granted",
                                   "to be honest",
                                   "on the other hand",
                                   "with that said"};
static const char *const UNSURE[] = {
    "i am not sure",   "i'm not sure", "i’m not sure",        "not sure",      "i am unsure",
    "i'm unsure",      "i don't know", "i don’t know",        "i do not know", "i have no idea",
    "no idea",         "i can't tell", "i really can't tell", "i cannot tell", "i can't decide",
    "i cannot decide", "i'm lost",     "i'm confused",        "i give up",     "i am undecided"};
static const char *const CONTRAST[] = {"but", "however", "yet", "though", "although", "except"};
static const char *const HARD[] = {"then again",
                                   "correction to the above",
                                   "wait",
                                   "hmm",
                                   "hm",
                                   "actually",
                                   "oops",
                                   "sorry",
                                   "apologies",
                                   "correction needed",
                                   "correction",
                                   "corrected",
                                   "edit",
                                   "edited",
                                   "hold on",
                                   "i mean",
                                   "i meant",
                                   "make that",
                                   "rather",
                                   "instead",
                                   "erratum",
                                   "typo",
                                   "thinking again",
                                   "looking again",
                                   "let me rephrase",
                                   "i should say",
                                   "or rather",
                                   "hang on",
                                   "my apologies",
                                   "pardon",
                                   "update",
                                   "updated",
                                   "amended",
                                   "p.s",
                                   "ps",
                                   "correcting this",
                                   "correcting myself",
                                   "fixed",
                                   "revised",
                                   "errata",
                                   "addendum",
                                   "revision",
                                   "in hindsight",
                                   "better",
                                   "more exactly",
                                   "more precisely",
                                   "to be exact",
                                   "to be precise",
                                   "moment",
                                   "warte",
                                   "halt",
                                   "korrektur",
                                   "nein",
                                   "espera",
                                   "corrección",
                                   "attends",
                                   "attendez",
                                   "non",
                                   "aspetta",
                                   "correção",
                                   "não",
                                   "wacht",
                                   "nee",
                                   "correctie",
                                   "quatsch",
                                   "unsinn",
                                   "blödsinn",
                                   "mist",
                                   "ups",
                                   "huch",
                                   "ach nein",
                                   "ach",
                                   "falsch",
                                   "besser gesagt",
                                   "genauer gesagt",
                                   "genauer",
                                   "vielmehr",
                                   "eigentlich",
                                   "entschuldigung",
                                   "zut",
                                   "mince",
                                   "en fait",
                                   "perdón",
                                   "perdona",
                                   "uy",
                                   "mejor dicho",
                                   "digo",
                                   "en realidad",
                                   "ops",
                                   "anzi",
                                   "scusate",
                                   "scusa",
                                   "desculpe",
                                   "aliás",
                                   "whoops",
                                   "ugh",
                                   "argh",
                                   "damn",
                                   "darn",
                                   "ah",
                                   "no way",
                                   "nonsense",
                                   "rubbish",
                                   "i realize",
                                   "i realise",
                                   "i now realize",
                                   "i now see",
                                   "i just realized",
                                   "i just noticed"};
// The same in scripts other than Latin.
static const char *const HARD_ABROAD[] = {
    "стоп",   "постойте", "подожди", "ошибка",   "間違", "すみません", "错",
    "我错了", "Стоп",     "Нет",     "Постойте", "ой",   "Ой",         "等等",
    "等一下", "不对",     "不對",    "更正",     "抱歉", "修正",       "改正",
    "错了",   "訂正",     "いや",    "아니",     "잠깐", "нет",        "исправление"};
static const char *const RETRACT[] = {
    "i take that back",
    "i take it back",
    "never mind",
    "just kidding",
    "kidding",
    "i'm kidding",
    "nevermind",
    "i disagree",
    "i was wrong",
    "i am wrong",
    "i'm wrong",
    "i was mistaken",
    "my mistake",
    "my bad",
    "i miscalculated",
    "i misread",
    "i miscounted",
    "i don't agree",
    "i don't think so",
    "i do not think so",
    "i doubt it",
    "just joking",
    "joking",
    "i lied",
    "i was joking",
    "that was a joke",
    "or not",
    "i do not agree",
    "je me suis trompé",
    "je me suis trompée",
    "j'ai fait une erreur",
    "ich habe mich verrechnet",
    "ich habe mich geirrt",
    "ich habe mich vertan",
    "mein fehler",
    "me equivoqué",
    "me he equivocado",
    "me confundí",
    "errei",
    "me enganei",
    "mi sono sbagliato",
    "mi sono sbagliata",
    "ho sbagliato",
    "ik heb me vergist",
    "ik heb een fout gemaakt",
    "there is some doubt",
    "there is a doubt",
    "i have doubts",
    "i have my doubts",
};

// Past a "no" that is a sentence of its own ("no, 13", "nope", "no wait", but not "no other").
static size_t skip_no(struct slice text, size_t at) {
    const size_t end = answer_is_word(text, at, "nope") ? at + 4 : at + 2;
    if (end == at + 2 && !answer_is_word(text, at, "no")) return at;
    const bool apart = end >= text.len || answer_is_one_of(",.!;:-\n", text.ptr[end]);
    return apart || answer_skip_phrase(text, end + 1, HARD, N(HARD)) != end + 1 ? end : at;
}

// "unfortunately", "clearly": past an adverb that begins a sentence, or `at`.
static size_t skip_adverb(struct slice text, size_t at) {
    enum { MIN_LETTERS = 5, MAX_LETTERS = 20 };
    size_t end = at;
    while (end < text.len && end - at < MAX_LETTERS && ascii_is_alpha(text.ptr[end])) end++;
    const bool adverb = end - at >= MIN_LETTERS && answer_starts(text, end - 2, "ly");
    return adverb && end < text.len && answer_is_one_of(", ", text.ptr[end]) ? end : at;
}

// "on second thought", "upon closer inspection", "after rechecking": past it, or `at`.
static size_t skip_review(struct slice text, size_t at) {
    static const char *const STARTS[] = {"on", "upon", "after", "with"};
    static const char *const HOW[] = {" a",       " second", " further", " closer", " more",
                                      " careful", " some",   " another", " deeper", " my"};
    static const char *const NOUNS[] = {
        " thought",       " thoughts",    " reflection",     " review",          " look",
        " inspection",    " checking",    " rechecking",     " re-checking",     " recomputing",
        " recalculating", " recount",     " consideration",  " reconsideration", " re-reading",
        " rereading",     " examination", " re-examination", " double-checking", " verification",
        " testing",       " analysis",    " thinking"};
    const size_t start = answer_skip_phrase(text, at, STARTS, N(STARTS));
    size_t end = start;
    for (size_t next; start != at && (next = answer_skip_phrase(text, end, HOW, N(HOW))) != end;)
        end = next;
    const size_t noun = start == at ? end : answer_skip_phrase(text, end, NOUNS, N(NOUNS));
    return noun == end ? at : noun;
}

// "a recount gives", "my second calculation yields": past it, or `at`. What it gives stands in the
// place of what was said.
static size_t skip_recount(struct slice text, size_t at) {
    static const char *const STARTS[] = {"a", "another", "my", "the", "one more", "an"};
    static const char *const HOW[] = {" second", " more",  " careful", " quick",
                                      " closer", " exact", " new",     " full",
                                      " direct", " third", " final",   " brute"};
    static const char *const NOUNS[] = {
        " recount",      " recheck",         " re-check",    " recalculation", " recomputation",
        " look",         " double check",    " count",       " double-check",  " calculation",
        " computation",  " reconsideration", " check",       " evaluation",    " re-evaluation",
        " force search", "-force search",    " force check", " simulation",    " review"};
    static const char *const VERBS[] = {" gives",        " yields",   " shows that", " shows",
                                        " says",         " reveals",  " leads to",   " results in",
                                        " makes it",     " produces", " turns up",   " comes to",
                                        " comes out as", " gave",     " suggests",   " indicates"};
    const size_t start = answer_skip_phrase(text, at, STARTS, N(STARTS));
    size_t end = start;
    for (size_t next; start != at && (next = answer_skip_phrase(text, end, HOW, N(HOW))) != end;)
        end = next;
    const size_t noun = start == at ? end : answer_skip_phrase(text, end, NOUNS, N(NOUNS));
    const size_t verb = noun == end ? noun : answer_skip_phrase(text, noun, VERBS, N(VERBS));
    return verb == noun ? at : verb;
}

// "let me correct that", "I have to correct myself": past it, or `at`.
static size_t skip_self_correction(struct slice text, size_t at) {
    static const char *const STARTS[] = {"let me",   "let us", "i need to", "i have to",   "i must",
                                         "i should", "i will", "i'll",      "allow me to", "to"};
    static const char *const VERBS[] = {" correct", " fix", " rectify", " revise", " amend"};
    static const char *const OBJECTS[] = {" that",      " this",       " it",       " myself",
                                          " my answer", " the answer", " the above"};
    const size_t start = answer_skip_phrase(text, at, STARTS, N(STARTS));
    const size_t verb = start == at ? at : answer_skip_phrase(text, start, VERBS, N(VERBS));
    return verb == start ? at : answer_skip_phrase(text, verb, OBJECTS, N(OBJECTS));
}

size_t answer_skip_openings(struct slice text, size_t at, struct answer_opening *out) {
    enum { MAX_OPENINGS = 8 }; // or "wait. wait. ..." would be read from each of its sentences on
    *out = (struct answer_opening){0};
    for (int n = 0; n < MAX_OPENINGS; n++) {
        at = answer_skip_marks(text, at);
        if (at >= text.len || ((unsigned char)text.ptr[at] < 0xC3 && !ascii_is_alpha(text.ptr[at])))
            return at; // all of them begin with a letter: a formula or a number is none
        size_t end = answer_skip_phrase(text, at, RETRACT, N(RETRACT));
        if (end == at) end = answer_skip_retraction(text, at);
        if (end == at) end = answer_skip_confession(text, at);
        out->retract |= end != at;
        if (end == at) {
            end = skip_self_correction(text, at);
            if (end == at) end = skip_review(text, at);
            if (end == at) end = skip_recount(text, at);
            out->hard |= end != at;
        }
        if (end == at) {
            const bool latin = at < text.len && (unsigned char)text.ptr[at] < 0xC3;
            end = latin ? answer_skip_phrase(text, at, HARD, N(HARD))
                        : answer_skip_phrase(text, at, HARD_ABROAD, N(HARD_ABROAD));
            out->hard |= end != at;
        }
        if (end == at) {
            end = answer_skip_phrase(text, at, UNSURE, N(UNSURE));
            out->soft |= end != at;
            out->unsure |= end != at && (end >= text.len || answer_ends_sentence(text, end));
        }
        if (end == at) {
            out->against |= answer_skip_phrase(text, at, CONTRAST, N(CONTRAST)) != at;
            end = answer_skip_phrase(text, at, SOFT, N(SOFT));
            if (end == at) end = skip_adverb(text, at);
            out->soft |= end != at;
        }
        if (end == at) {
            end = skip_no(text, at);
            out->no |= end != at;
        }
        if (end == at) return at;
        at = end;
    }
    return at;
}

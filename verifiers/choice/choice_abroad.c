// What denies or states a choice in languages other than English.
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool starts_word(struct slice text, size_t at, const char *word) {
    return (unsigned char)word[0] >= 0xE3 ? answer_starts(text, at, word)
                                          : answer_is_word(text, at, word);
}

static size_t skip_gap(struct slice text, size_t at) {
    static const char *const ARTICLES[] = {"la ", "el ", "die ", "der ", "das ", "选项", "選項"};
    for (;;) {
        while (at < text.len && answer_is_one_of(" ,(*\"", text.ptr[at])) {
            bool strong;
            size_t end;
            if (text.ptr[at] == '(' && choice_letter(text, at, &strong, &end)) return at;
            at++;
        }
        size_t next = at;
        for (size_t i = 0; i < N(ARTICLES) && next == at; i++)
            if (answer_starts(text, at, ARTICLES[i])) next = at + strlen(ARTICLES[i]);
        if (next == at) return at;
        at = next;
    }
}

size_t choice_skip_denied(struct slice text, size_t at) {
    static const struct {
        const char * not, *but; // in front of the two letters; without `not` behind the first
    } PAIRS[] = {
        {"不是", "而是"},       {"并不是", "而是"},    {"并非", "而是"},    {"非", "而是"},
        {"nicht", "sondern"},   {"no es", "sino"},     {"no", "sino"},      {"non", "mais"},
        {"non pas", "mais"},    {"n'est pas", "mais"}, {"pas", "mais"},     {"не", "а"},
        {"não é", "mas sim"},   {"não é", "mas"},      {"não", "mas"},      {"niet", "maar"},
        {"non è", "ma"},        {"non è", "bensì"},    {"inte", "utan"},    {"ikke", "men"},
        {"bukan", "melainkan"}, {"不是", "是"},        {NULL, "ではなく"},  {NULL, "じゃなく"},
        {NULL, "でなく"},       {NULL, "가 아니라"},   {NULL, "이 아니라"}, {NULL, "değil"}};
    for (size_t i = 0; i < N(PAIRS); i++) {
        bool strong;
        size_t end = at;
        if (PAIRS[i].not &&!starts_word(text, at, PAIRS[i].not )) continue;
        const size_t first = skip_gap(text, at + (PAIRS[i].not ? strlen(PAIRS[i].not ) : 0));
        if (first >= text.len || !choice_letter(text, first, &strong, &end)) continue;
        const size_t but = PAIRS[i].not ? skip_gap(text, end) : end;
        const size_t gap = but < text.len && text.ptr[but] == ' ' ? but + 1 : but;
        if (!starts_word(text, gap, PAIRS[i].but)) continue;
        const size_t next = skip_gap(text, gap + strlen(PAIRS[i].but));
        if (next < text.len && choice_letter(text, next, &strong, &end)) return next;
    }
    return at;
}

bool choice_denied_abroad(struct slice text, size_t start, size_t at) {
    enum { MAX_BACK = 6 };
    static const char *const WORDS[] = {
        "nicht",      "kein",     "keine",     "keinesfalls", "pas",      "não",
        "nao",        "non",      "niet",      "geen",        "ikke",     "inte",
        "bukan",      "не",       "außer",     "sauf",        "excepto",  "salvo",
        "menos",      "exceto",   "tranne",    "кроме",       "hormis",   "excepté",
        "ليس",        "ليست",     "नहीं",       "ausgenommen", "descarto", "descartamos",
        "eliminamos", "écartons", "éliminons", "исключаем",   "behalve",  "utom",
        "weder",      "ni",       "ani",       "noch",        "ne",       "né",
        "nem",        "ни"};
    static const char *const SPANISH[] = {"es",    "la",   "puede", "son", "creo",
                                          "elijo", "está", "era",   "fue", "opción"};
    static const char *const BUT[] = {"sondern", "sino", "mais", "maar", "ma", "mas", "а", "bensì"};
    struct slice next = {NULL, 0};
    for (int n = 0; n < MAX_BACK; n++) {
        while (at > start && answer_is_one_of(" (*\"'", text.ptr[at - 1])) at--;
        size_t from = at;
        while (from > start && !answer_is_one_of(" ,;:.!?\n(", text.ptr[from - 1])) from--;
        const struct slice word = answer_cut(text, from, at);
        if (word.len == 0 || answer_is_in(word, BUT, N(BUT))) return false;
        if (answer_is_in(word, WORDS, N(WORDS))) return true;
        if (slice_is(word, "no") && answer_is_in(next, SPANISH, N(SPANISH))) return true;
        next = word;
        at = from;
    }
    return false;
}

// "很多人会选B": in the clause in front of `at`.
static bool is_of_others(struct slice text, size_t at) {
    static const char *const WORDS[] = {"很多人", "许多人", "不少人", "有人", "有些人", "大家",
                                        "同学",   "学生",   "考生",   "别人", "他",     "她",
                                        "容易",   "常会",   "往往",   "如果", "若"};
    const size_t start = answer_sentence_start(text, at);
    for (size_t i = at; i-- > start && text.ptr[i] != ',' && text.ptr[i] != ';';)
        for (size_t k = 0; (unsigned char)text.ptr[i] >= 0xE4 && k < N(WORDS); k++)
            if (answer_starts(text, i, WORDS[k])) return true;
    return false;
}

// "选B", "故选：B".
static size_t chosen_in_chinese(struct slice text, size_t at) {
    static const char *const WORDS[] = {"选择", "選擇", "选", "選"};
    static const char *const DENIALS[] = {"不", "别",   "勿",   "误",   "错",   "可",     "多",
                                          "单", "不能", "不应", "不要", "不该", "不应该", "不可"};
    for (size_t i = 0; i < N(WORDS); i++) {
        if (!answer_starts(text, at, WORDS[i])) continue;
        if (answer_back_phrase(text, 0, at, DENIALS, N(DENIALS)) != at) return SIZE_MAX;
        return is_of_others(text, at) ? SIZE_MAX : at + strlen(WORDS[i]);
    }
    return SIZE_MAX;
}

// "Ich wähle B", "elijo la opción B".
static size_t chosen_by_me(struct slice text, size_t at) {
    static const char *const WORDS[] = {"je choisis",  "ich entscheide mich für",
                                        "ich nehme",   "me quedo con",
                                        "opto por",    "fico com",
                                        "j'opte pour", "ich wähle",
                                        "elijo",       "escojo",
                                        "escolho",     "scelgo",
                                        "выбираю",     "ik kies",
                                        "jag väljer",  "أختار",
                                        "wybieram"};
    static const char *const FILLERS[] = {"la",       "le",     "el",      "die",      "réponse",
                                          "opción",   "opção",  "option",  "antwort",  "respuesta",
                                          "l'option", "a",      "o",       "вариант",  "letra",
                                          "ответ",    "الخيار", "opzione", "risposta", "resposta"};
    size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    if (end == at || choice_denied_abroad(text, answer_sentence_start(text, at), at))
        return SIZE_MAX;
    for (;;) {
        while (end < text.len && answer_is_one_of(" :*\"", text.ptr[end])) end++;
        if (end < text.len && ascii_is_upper(text.ptr[end])) return end; // a lone "A" is a choice
        const size_t next = answer_skip_phrase(text, end, FILLERS, N(FILLERS));
        if (next == end) return end;
        end = next;
    }
}

size_t choice_chosen_abroad(struct slice text, size_t at) {
    const size_t chosen = chosen_in_chinese(text, at);
    return chosen != SIZE_MAX ? chosen : chosen_by_me(text, at);
}

// "选项B正确", "ist C richtig", "B est correct", "B es correcta": the letter is at..end.
size_t choice_skip_verdict(struct slice text, size_t at, size_t end) {
    static const char *const VERDICTS[] = {"项正确",
                                           "选项正确",
                                           "项是正确",
                                           "选项是正确",
                                           "正确",
                                           "正確",
                                           "是正确的",
                                           "是正確的",
                                           "是对的",
                                           "对",
                                           "が正解",
                                           "が正しい",
                                           "이 정답",
                                           "가 정답",
                                           "이 맞",
                                           "가 맞",
                                           "ist richtig",
                                           "ist korrekt",
                                           "est correct",
                                           "est la bonne",
                                           "est juste",
                                           "es correcta",
                                           "es la correcta",
                                           "es correcto",
                                           "es la respuesta",
                                           "é a correta",
                                           "está correta",
                                           "é correta",
                                           "è corretta",
                                           "è la risposta",
                                           "ist die richtige",
                                           "ist die korrekte",
                                           "ist die antwort",
                                           "est la réponse",
                                           "é a resposta",
                                           "é a alternativa correta",
                                           "é a opção correta",
                                           "является правильным"};
    static const char *const DENIED[] = {"不", "并不", "非", "nicht ", "no ", "não ", "non "};
    if (answer_back_phrase(text, 0, at, DENIED, N(DENIED)) != at) return end;
    for (size_t i = 0; i < N(VERDICTS); i++)
        if (answer_starts(text, end, VERDICTS[i])) return end + strlen(VERDICTS[i]);
    // "Also ist C richtig.", "Daher ist C die richtige Antwort."
    static const char *const IST[] = {"richtig",      "korrekt",     "die richtige",
                                      "die korrekte", "die Antwort", "die Lösung"};
    const size_t next = answer_skip_spaces(text, end);
    const bool ist = at >= 4 && answer_starts(text, at - 4, "ist ");
    const size_t to = ist ? answer_skip_phrase(text, next, IST, N(IST)) : next;
    if (to != next) return to;
    return end;
}

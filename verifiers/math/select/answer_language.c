// "The answer is" in languages other than English.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_LINKS = 6 };

// Words for "answer", the longer of two first; case does not count for ASCII letters.
static const char *const LATIN[] = {
    "antwort",
    "antwoord",
    "alternativa",
    "atsakymas",
    "atbilde",
    "respuesta",
    "réponse",
    "reponse",
    "resposta",
    "risposta",
    "răspunsul",
    "răspuns",
    "svaret",
    "svar",
    "sagot",
    "cevap",
    "yanıt",
    "jawabannya",
    "jawaban",
    "jawapan",
    "jibu",
    "odpowiedź",
    "odpowiedzią",
    "odpověď",
    "odpoveď",
    "odgovor",
    "opción correcta",
    "opção correta",
    "opzione corretta",
    "vastaus",
    "válasz",
    "vastus",
    "lösung ist",
    "richtig ist",
    "lösung:",
};
static const char *const OTHER[] = {
    "правильный вариант",
    "Правильный вариант",
    "верный вариант",
    "Верный вариант",
    "答案",
    "正确选项",
    "正确的是",
    "正确的选项",
    "答：",
    "答:",
    "答え",
    "正解",
    "解答",
    "회답",
    "정답",
    "답",
    "ответ",
    "Ответ",
    "ОТВЕТ",
    "відповідь",
    "Відповідь",
    "отговор",
    "Отговор",
    "الإجابة",
    "الاجابة",
    "الجواب",
    "إجابة",
    "پاسخ",
    "جواب",
    "תשובה",
    "התשובה",
    "उत्तर",
    "উত্তর",
    "பதில்",
    "விடை",
    "సమాధానం",
    "คำตอบ",
    "đáp án",
    "Đáp án",
    "ĐÁP ÁN",
    "câu trả lời",
    "Câu trả lời",
    "Ìdáhùn",
    "ìdáhùn",
    "απάντηση",
    "Απάντηση",
    "პასუხი",
    "መልስ",
};

// Words between "answer" and its value.
static const char *const LINKS[] = {
    "ist",      "lautet",      "es",         "est",       "é",        "è",         "is",
    "är",       "er",          "on",         "jest",      "adalah",   "ialah",     "là",
    "este",     "je",          "ni",         "sería",     "será",     "sera",      "wäre",
    "correcta", "correcto",    "correcte",   "correta",   "corretta", "corecta",   "correct",
    "corect",   "to",          "exacte",     "richtige",  "korrekt",  "korrekte",  "finale",
    "final",    "endgültige",  "la",         "le",        "el",       "l'option",  "die",
    "der",      "das",         "o",          "a",         "opción",   "option",    "opção",
    "opzione",  "alternativa", "letra",      "lettre",    "lettera",  "buchstabe", "variant",
    "poprawna", "doğru",       "prawidłowa", "benar",     "yang",     "đúng",      "the",
    "it",       "correct:",    "somit",      "also",      "donc",     "por",       "tanto",
    "entonces", "portanto",    "dunque",     "therefore",
};
static const char *const WIDE_LINKS[] = {
    "大约", "大約",    "约",    "約",     "应该是", "应该为",     "應該是",  "应是",
    "应为", "就是",    "是",    "为",     "為",     "选项",       "選項",    "選択肢",
    "选",   "選",      "は",    "が",     "은",     "는",         "이",      "가",
    "번",   "：",      "—",     "–",      "هي",     "هو",         "الصحيحة", "الصحيح",
    "ہے",   "है",       "হল",    "হলো",    "হচ্ছে",   "คือ",         "ที่ถูกต้อง",  "là",
    "это",  "вариант", "буква", "верный", "е ",     "правильный", "】",      "الخيار",
    "под",  "буквой",  "είναι", "היא",    "הוא",    "ነው",         "არის",
};

static bool is_letter(struct slice text, size_t at) {
    return at < text.len &&
           (ascii_is_alpha(text.ptr[at]) ||
            ((unsigned char)text.ptr[at] >= 0xC3 && (unsigned char)text.ptr[at] <= 0xC9) ||
            (unsigned char)text.ptr[at] == 0xE1);
}

// Past one word or mark that joins, or `at`.
static size_t skip_link(struct slice text, size_t at) {
    if (answer_is_one_of(":=*_-]", text.ptr[at])) {
        const bool minus =
            text.ptr[at] == '-' && at + 1 < text.len && !answer_is_one_of(" -", text.ptr[at + 1]);
        return minus ? at : at + 1;
    }
    for (size_t i = 0; i < N(WIDE_LINKS); i++)
        if (answer_starts(text, at, WIDE_LINKS[i])) return at + strlen(WIDE_LINKS[i]);
    if (at > 0 && is_letter(text, at - 1)) return at;
    for (size_t i = 0; i < N(LINKS); i++) {
        const size_t end = at + strlen(LINKS[i]);
        // A lone "A" is a choice, a lone "a" Portuguese.
        if (answer_starts(text, at, LINKS[i]) && !is_letter(text, end) && end < text.len &&
            answer_is_one_of(" :*\n", text.ptr[end]) && text.ptr[at] != 'A' && text.ptr[at] != 'E')
            return end;
    }
    return at;
}

// "如果下雨，答案是5", "Wenn es regnet, ist die Antwort 5".
static bool is_conditional_abroad(struct slice before) {
    static const char *const WIDE[] = {"如果", "若",   "假如", "假设", "假設", "要是", "もし",
                                       "만약", "만일", "यदि",  "अगर",  "إذا",  "لو",   "ถ้า"};
    static const char *const WORDS[] = {"wenn", "falls", "si",   "se",    "если", "Если", "якщо",
                                        "eğer", "jeśli", "jika", "nếu",   "als",  "dacă", "om",
                                        "hvis", "Nếu",   "jos",  "pokud", "ako",  "ha"};
    while (before.len && answer_is_one_of(" \t\r\n*_", before.ptr[0]))
        before = answer_cut(before, 1, before.len);
    for (size_t i = 0; i < N(WIDE); i++)
        if (answer_starts(before, 0, WIDE[i])) return true;
    const bool pause = memchr(before.ptr, ',', before.len) != NULL;
    for (size_t i = 0; pause && i < N(WORDS); i++)
        if (answer_starts(before, 0, WORDS[i]) &&
            answer_is_one_of(" ", before.ptr[strlen(WORDS[i])]))
            return true;
    return false;
}

// "5 이상", "5以上": the number is a bound.
static bool is_bound(struct slice text, size_t at) {
    static const char *const BOUNDS[] = {"이상", "이하", "미만", "초과", "以上", "以下",
                                         "未満", "未满", "或更", "左右", "多个", "余个"};
    static const char *const COUNTERS[] = {"개", "명", "마리", "권", "대", "원", "個", "个", "人"};
    while (at < text.len && answer_is_one_of("0123456789.,$ ", text.ptr[at])) at++;
    for (size_t i = 0; i < N(COUNTERS); i++)
        if (answer_starts(text, at, COUNTERS[i])) {
            at += strlen(COUNTERS[i]);
            while (at < text.len && text.ptr[at] == ' ') at++;
            break;
        }
    for (size_t i = 0; i < N(BOUNDS); i++)
        if (answer_starts(text, at, BOUNDS[i])) return true;
    return false;
}

size_t answer_other_denied(struct slice text, size_t from, size_t to) {
    static const char *const CLAUSES[] = {
        "，不是",   "，而不是",    "，并不是",     "，并非",     ", 不是",    ",不是",
        "、不是",   ", nicht ",    ", no ",        ", non ",     ", et non ", ", а не ",
        ",而不是",  ",并不是",     ",并非",        ", não ",     ", niet ",   ", y no ",
        ", e non ", ", e não ",    ", und nicht ", ", en niet ", ", et pas ", ", pas ",
        " y no ",   " und nicht ", " et non "};
    for (size_t at = from; at < to; at++)
        for (size_t i = 0; i < N(CLAUSES); i++) {
            if (!answer_starts(text, at, CLAUSES[i])) continue;
            size_t next = at + strlen(CLAUSES[i]);
            while (next < to && answer_is_one_of(" $", text.ptr[next])) next++;
            static const char *const LEADS[] = {"die ", "la ", "选项", "("};
            for (size_t k = 0; k < N(LEADS); k++)
                if (answer_starts(text, next, LEADS[k])) next += strlen(LEADS[k]);
            size_t end = next;
            while (end < to && answer_is_one_of("0123456789.,$ ", text.ptr[end])) end++;
            if (end == next && end < to && text.ptr[end] >= 'A' && text.ptr[end] <= 'J')
                end += end + 1 < to && text.ptr[end + 1] == ')' ? 2 : 1;
            // "不是吗" asks, and "不是12吗" too.
            if (end > next && end == to && !answer_starts(text, to, "？")) return at;
        }
    return to;
}

// An option's letter that stands alone behind the first byte: "..., C ist falsch".
static bool names_letter(struct slice text) {
    for (size_t i = 1; i < text.len; i++)
        if (text.ptr[i] >= 'B' && text.ptr[i] <= 'D' && text.ptr[i - 1] == ' ' &&
            (i + 1 == text.len || !ascii_is_alnum(text.ptr[i + 1])))
            return true;
    return false;
}

// "falsch", "incorrecto": a word that says so of what is in front, and not of another option.
static bool has_wrong(struct slice text) {
    static const char *const WORDS[] = {
        "falsch",    "faux",    "fausse",  "incorrecto", "incorrecta", "incorreta",
        "errado",    "errada",  "falso",   "fout",       "sbagliato",  "sbagliata",
        "onjuist",   "erróneo", "errónea", "yanlış",     "błędna",     "błędne",
        "incorreto", "salah",   "неверно", "неверный",   "неправильно"};
    for (size_t at = 0; at < text.len; at++)
        for (size_t i = 0; text.ptr[at] == ' ' && i < N(WORDS); i++)
            if (answer_is_word(text, at + 1, WORDS[i]))
                return !names_letter(answer_cut(text, 0, at));
    return false;
}

bool answer_is_wrong_abroad(struct slice text, size_t end) {
    enum { MAX_BYTES = 48 };
    if (end + 1 >= text.len || text.len - end < 3) return false;
    const size_t to = answer_sentence_end(text, end + 1);
    if (to - end > MAX_BYTES) return false;
    for (size_t at = end; at < to; at++)
        if (ascii_is_digit(text.ptr[at])) return false; // of another value
    return has_wrong(answer_cut(text, end, to));
}

bool answer_is_denied_abroad(struct slice text, size_t from) {
    static const char *const DENIALS[] = {
        "ではな", "ではあり", "じゃな", "じゃあり", "でない", "아니",       "아닙",
        "아닌",   "않",       "नहीं",    "না",       "নয়",     "ليس",        "ليست",
        "לא",     "ไม่",       "不对",   "不對",     "不是",   "错",         "錯",
        "吗",     "嗎",       "か？",   "니까",     "неверн", "неправильн", "değil"};
    const size_t to = answer_sentence_end(text, from);
    const struct slice rest = answer_cut(text, from, answer_other_denied(text, from, to));
    for (size_t i = 0; i < N(DENIALS); i++)
        if (memmem(rest.ptr, rest.len, DENIALS[i], strlen(DENIALS[i]))) return true;
    if (has_wrong(rest)) return true;
    return answer_starts(text, to, "？") || is_bound(text, from) ||
           is_conditional_abroad(answer_cut(text, answer_sentence_start(text, from), from));
}

bool answer_may_be_foreign(struct slice text, size_t at) {
    const unsigned char c = (unsigned char)text.ptr[at];
    if (c >= 0x80) return c >= 0xC3;
    if (at + 2 >= text.len) return false;
    const char second = text.ptr[at + 1] | 32;
    switch (c | 32) {
    case 'a': // antwort, antwoord, alternativa, atsakymas, atbilde
        return second == 'n' || second == 'l' || second == 't';
    case 'r': // respuesta, réponse, risposta, răspuns
        return second == 'e' || second == 'i' || (unsigned char)text.ptr[at + 1] >= 0x80;
    case 's':
        return second == 'v' || second == 'a';
    case 'c':
        return second == 'e';
    case 'y':
        return second == 'a';
    case 'j':
        return second == 'a' || second == 'i';
    case 'o':
        return second == 'd' || second == 'p';
    case 'v':
    case 'l':
        return second == 'a' || (unsigned char)text.ptr[at + 1] >= 0x80;
    default:
        return false;
    }
}

// The word for "answer" at `at`: its end, or SIZE_MAX.
static size_t word_end(struct slice text, size_t at) {
    const unsigned char c = (unsigned char)text.ptr[at];
    if (c >= 0x80) {
        size_t best = SIZE_MAX, longest = 0;
        for (size_t i = 0; i < N(OTHER); i++) {
            const size_t len = strlen(OTHER[i]);
            if (len <= longest || (unsigned char)OTHER[i][0] != c || at + len > text.len ||
                memcmp(text.ptr + at, OTHER[i], len))
                continue;
            longest = len;
            best = at + len;
        }
        return best;
    }
    if (at > 0 && (ascii_is_alnum(text.ptr[at - 1]) || is_letter(text, at - 1))) return SIZE_MAX;
    for (size_t i = 0; i < N(LATIN); i++)
        if ((LATIN[i][0] | 32) == (c | 32) && answer_starts(text, at, LATIN[i]) &&
            !is_letter(text, at + strlen(LATIN[i])))
            return at + strlen(LATIN[i]);
    return SIZE_MAX;
}

// "Die falsche Antwort", "错误答案": what is in front of the word for "answer" at `at`.
static bool is_called_wrong(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "falsche",    "fausse",     "mauvaise",     "falsa",        "foute",     "verkeerde",
        "неверный",   "Неверный",   "неправильный", "Неправильный", "ошибочный", "yanlış",
        "错误",       "错误的",     "錯誤",         "錯誤的",       "错的",      "不",
        "間違った",   "誤った",     "間違いの",     "틀린",         "잘못된",    "erroneous",
        "incorrecte", "incorrecta", "errada",       "sbagliata",    "falschen",  "błędna"};
    while (at > 0 && answer_is_one_of(" *_", text.ptr[at - 1])) at--;
    return answer_back_phrase(text, 0, at, WORDS, N(WORDS)) != at;
}

size_t answer_foreign(struct slice text, size_t at) {
    size_t end = word_end(text, at);
    if (end == SIZE_MAX || is_called_wrong(text, at)) return SIZE_MAX;
    for (int n = 0; n < MAX_LINKS; n++) {
        while (end < text.len && answer_is_one_of(" \t\r\n,", text.ptr[end])) end++;
        if (end == text.len) return SIZE_MAX;
        const size_t next = skip_link(text, end);
        if (next == end) return end;
        end = next;
    }
    return SIZE_MAX;
}

bool answer_is_refuted_abroad(struct slice text, size_t at) {
    static const char *const DENIALS[] = {
        "是错",          "是錯",          "不正确",     "不正確",      "不对",
        "不對",          "是不",          "错误",       "錯誤",        "有误",
        "は間違",        "は誤",          "は正しく",   "は違",        "이 아니",
        "가 아니",       "이 아닙",       "가 아닙",    "는 틀",       "은 틀",
        "이 틀",         "가 틀",         "ist falsch", "ist nicht",   "est faux",
        "est fausse",    "est incorrect", "n'est pas",  "n’est pas",   "es incorrect",
        "es incorrecta", "es falsa",      "no es",      "é incorreta", "não é",
        "está errada",   "è sbagliata",   "non è",      "неверн",      "неправильн",
        "не подход",     "は不",          "は当てはま", "は適切で",    "错"};
    static const char *const ADVERBS[] = {"显然", "明显", "肯定", "一定", "都", "也", "— ", "– "};
    for (size_t i = 0; i < N(ADVERBS); i++)
        if (answer_starts(text, at, ADVERBS[i])) at += strlen(ADVERBS[i]);
    for (size_t i = 0; i < N(DENIALS); i++)
        if (answer_is_word(text, at, DENIALS[i])) return true;
    return false;
}

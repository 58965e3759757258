// A number between letters of a script that writes no spaces around it: 她有12个苹果。
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Behind a number, these make another one of it, or leave it open.
static const char *const CHANGES[] = {
    "万",   "萬", "亿",   "億",     "千",   "百", "十",   "兆",  "半",  "分之",  "割",   "成",
    "折",   "点", "點",   "比",     "又",   "多", "余",   "餘",  "几",  "幾",    "数",   "以",
    "左",   "上", "前後", "くらい", "ほど", "만", "억",   "천",  "백",  "십",    "조",   "반",
    "분의", "할", "이상", "이하",   "여",   "쯤", "정도", "লক্ষ", "লাখ", "হাজার", "কোটি", "শত",
    "শ",    "的", "より", "보다",   "时",   "時", "号",   "之"};

// Behind a number, these may make a part of a date of it, where there are other numbers.
static const char *const DATES[] = {"月", "年", "日", "월", "년", "일"};

// Behind a number in front of which 第 stands: it only names a part of a text.
static const char *const ORDINALS[] = {"页", "頁", "题", "題", "章", "节", "節", "步",
                                       "行", "例", "条", "图", "表", "問", "问"};

// Somewhere in the sentence: what is said is denied, supposed, asked or made a guess.
static const char *const DOUBTS[] = {
    "不",      "没",      "沒",      "非",      "错",      "錯",      "误",       "誤",
    "吗",      "嗎",      "如果",    "假设",    "假如",    "假設",    "若",       "可能",
    "也许",    "或",      "ない",    "ませ",    "もし",    "か？",    "なら",     "たら",
    "違",      "아니",    "아닙",    "아닌",    "않",      "없",      "틀",       "만약",
    "니까",    "라면",    "이면",    "또는",    "নয়",      "নেই",     "যদি",      "ไม่",
    "ถ้า",      "หรือ",     "？",      "?",       "约",      "約",      "大概",     "估",
    "약 ",     "또",      "大于",    "小于",    "大於",    "小於",    "少なくと", "多くと",
    "至少",    "至多",    "最多",    "最少",    "超过",    "超過",    "多于",     "少于",
    "低于",    "高于",    "接近",    "以上",    "以下",    "要是",    "未満",     "未满",
    "개 이상", "개 이하", "명 이상", "명 이하", "개 미만", "명 미만", "개 초과",  "명 초과",
    "除",      "将近",    "將近",    "不到",    "个半",    "個半",    "个多",     "個多",
    "적어도",  "많아도",  "최소",    "최대",
};

// In front of the number in its clause: of another value than what is sought.
static const char *const DERIVED[] = {"平方是", "平方为", "立方是", "倒数是", "相反数是", "倍是",
                                      "一半是", "二乗は", "倍は",   "半分は", "逆数は",   "배는",
                                      "제곱은", "절반은", "역수는", "平方為", "倍为",     "之一是"};

// In the clause of the number, where the sentence has others: it is the result.
static const char *const RESULTS[] = {
    "共",     "所以",   "因此", "故",   "合计",   "合計", "总",   "總",   "総",
    "全部",   "すべて", "答",   "等于", "等於",   "得",   "結果", "结果", "したが",
    "なので", "よって", "모두", "총",   "따라서", "মোট",  "รวม",
};

// A letter of a script of Asia; Latin, Greek, Cyrillic, Hebrew and Arabic write spaces.
static bool is_wide(struct slice text, size_t at) {
    if (at >= text.len || answer_is_digit(text, at)) return false;
    const unsigned char c = (unsigned char)text.ptr[at];
    if (c == 0xE1) { // not the letters of Vietnamese
        const unsigned char next = at + 1 < text.len ? (unsigned char)text.ptr[at + 1] : 0;
        return next < 0xB8 || next > 0xBB;
    }
    return (c == 0xE0 || (c >= 0xE3 && c <= 0xED)) && !answer_ends_sentence(text, at) &&
           !answer_starts(text, at, "、") && !answer_starts(text, at, "　");
}

static size_t last_character(struct slice text, size_t at) {
    while (at > 0 && ((unsigned char)text.ptr[--at] & 0xC0) == 0x80) {
    }
    return at;
}

static bool has_any(struct slice text, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memmem(text.ptr, text.len, list[i], strlen(list[i]))) return true;
    return false;
}

// A doubt somewhere; "不同的方法" (different ways) is none.
static bool is_doubted(struct slice claim) {
    static const char *const NO_DOUBTS[] = {"不同", "不重", "不等式", "不变", "不變"};
    for (size_t at = 0; at < claim.len; at++) {
        bool doubt = false;
        for (size_t i = 0; i < N(DOUBTS) && !doubt; i++)
            doubt = answer_starts(claim, at, DOUBTS[i]);
        for (size_t i = 0; i < N(NO_DOUBTS) && doubt; i++)
            doubt = !answer_starts(claim, at, NO_DOUBTS[i]);
        if (doubt) return true;
    }
    return false;
}

static bool starts_with_any(struct slice text, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_starts(text, at, list[i])) return true;
    return false;
}

// The run of mathematics around a digit: ASCII characters, signs and digits without a blank.
static bool in_run(struct slice text, size_t at) {
    static const char *const SIGNS[] = {"×", "÷", "−", "·", "√",  "π", "°",
                                        "²", "³", "≈", "±", "负", "負"};
    const unsigned char c = (unsigned char)text.ptr[at];
    return (c > ' ' && c < 0x80 && c != ':' && c != ';') || answer_is_digit(text, at) ||
           starts_with_any(text, at, SIGNS, N(SIGNS));
}

static size_t clause_start(struct slice sentence, size_t at) {
    while (at > 0) {
        const size_t before = last_character(sentence, at);
        if (answer_starts(sentence, before, "，") || answer_starts(sentence, before, "、") ||
            sentence.ptr[before] == ',')
            break;
        at = before;
    }
    return at;
}

// The last run of a sentence with a digit in it: false where there is none.
static bool last_run(struct slice sentence, size_t *from, size_t *to) {
    size_t at = sentence.len;
    while (at > 0) {
        const size_t before = last_character(sentence, at);
        if (answer_is_digit(sentence, before)) break;
        at = before;
    }
    if (at == 0) return false;
    *to = at;
    while (*to < sentence.len && in_run(sentence, *to)) {
        const size_t start = *to;
        do (*to)++;
        while (*to < sentence.len && ((unsigned char)sentence.ptr[*to] & 0xC0) == 0x80);
        if (*to == start) break;
    }
    *from = at;
    while (*from > 0 && in_run(sentence, last_character(sentence, *from)))
        *from = last_character(sentence, *from);
    return true;
}

// "不是13，而是12", "不是13，是12": what the sentence denies is another number. Where what
// it claims begins, or SIZE_MAX.
static size_t contrasted_from(struct slice sentence, size_t start, size_t from) {
    static const char *const DENIALS[] = {"不是", "并非", "並非", "不为", "不為", "不等于"};
    static const char *const LINKS[] = {"是", "应是", "应为", "应该是", "應該是", "應是", "而应是"};
    const struct slice clause = answer_cut(sentence, start, from);
    static const char *const BUT[] = {"而是", "아니라", "아니고"};
    if (has_any(clause, BUT, N(BUT))) return from;
    for (size_t i = 0; i < N(LINKS); i++)
        if (slice_is(clause, LINKS[i]))
            return has_any(answer_cut(sentence, 0, start), DENIALS, N(DENIALS)) ? start : SIZE_MAX;
    return SIZE_MAX;
}

// "第12页", "比12大的数"
static bool is_named(struct slice sentence, size_t from, size_t behind) {
    const struct slice before = answer_cut(sentence, 0, from);
    const size_t last = from > 0 ? last_character(sentence, from) : 0;
    if (answer_starts(before, last, "比")) return true;
    return answer_starts(before, last, "第") &&
           starts_with_any(sentence, behind, ORDINALS, N(ORDINALS));
}

// "一共15元，其中5元是找零": without the clause that tells of a part.
static struct slice without_part(struct slice sentence) {
    static const char *const PARTS[] = {"，其中", ", 其中", "、うち", "，当中"};
    for (size_t i = 0; i < N(PARTS); i++) {
        const char *at = memmem(sentence.ptr, sentence.len, PARTS[i], strlen(PARTS[i]));
        size_t from, to;
        const size_t len = at ? (size_t)(at - sentence.ptr) : 0;
        if (at && last_run(answer_cut(sentence, 0, len), &from, &to))
            return answer_cut(sentence, 0, len);
    }
    return sentence;
}

enum answer_glued answer_find_glued(struct slice sentence, struct slice *out) {
    size_t from, to, other_from, other_to;
    sentence = without_part(sentence);
    if (!last_run(sentence, &from, &to)) return ANSWER_NOT_GLUED;
    const bool before = from > 0 && is_wide(sentence, last_character(sentence, from));
    size_t behind = to;
    while (behind < sentence.len && sentence.ptr[behind] == ' ') behind++;
    if (!before && !is_wide(sentence, to)) return ANSWER_NOT_GLUED;
    if (starts_with_any(sentence, behind, CHANGES, N(CHANGES))) return ANSWER_NOT_GLUED;
    const size_t start = clause_start(sentence, from);
    const size_t claimed = contrasted_from(sentence, start, from);
    const bool contrasted = claimed != SIZE_MAX;
    const struct slice claim = answer_cut(sentence, contrasted ? claimed : 0, sentence.len);
    if (is_doubted(claim) || is_named(sentence, from, behind)) return ANSWER_DOUBTED;
    if (!contrasted && last_run(answer_cut(sentence, 0, from), &other_from, &other_to) &&
        (!has_any(answer_cut(sentence, start, from), RESULTS, N(RESULTS)) ||
         starts_with_any(sentence, behind, DATES, N(DATES))))
        return ANSWER_NOT_GLUED;
    if (has_any(answer_cut(sentence, start, from), DERIVED, N(DERIVED)) &&
        !last_run(answer_cut(sentence, 0, from), &other_from, &other_to))
        return ANSWER_DOUBTED;
    while (to > from && answer_is_one_of(".,*_`\"'!", sentence.ptr[to - 1])) to--;
    while (from < to && answer_is_one_of("*_`\"',", sentence.ptr[from])) from++;
    *out = answer_cut(sentence, from, to);
    return to > from ? ANSWER_GLUED : ANSWER_NOT_GLUED;
}

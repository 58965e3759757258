#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/unit.h"

#include <stdlib.h>
#include <strings.h>

// {words}, {m, kg, s, A, K, mol, cd, $, bit, rad}, num, den, power of ten, takes prefixes
static const struct unit_row ROWS[] = {
    {"m meter meters metre metres metro metros mètre mètres м метр метра метров",
     {1},
     1,
     1,
     0,
     true},
    {"см", {1}, 1, 1, -2, false},
    {"мм", {1}, 1, 1, -3, false},
    {"км", {1}, 1, 1, 3, false},
    {"г грамм", {0, 1}, 1, 1, -3, false},
    {"кг", {0, 1}, 1, 1, 0, false},
    {"米 公尺 メートル 미터", {1}, 1, 1, 0, false},
    {"厘米 公分 センチメートル センチ 센티미터", {1}, 1, 1, -2, false},
    {"毫米 ミリメートル 밀리미터", {1}, 1, 1, -3, false},
    {"千米 公里 キロメートル キロ 킬로미터", {1}, 1, 1, 3, false},
    {"in inch inches", {1}, 254, 1, -4, false},
    {"ft foot feet", {1}, 3048, 1, -4, false},
    {"yd yds yard yards", {1}, 9144, 1, -4, false},
    {"mi mile miles", {1}, 1609344, 1, -3, false},
    {"angstrom angstroms Å", {1}, 1, 1, -10, false},
    {"AU", {1}, 149597870700, 1, 0, false},
    {"ly lightyear lightyears", {1}, 9460730472580800, 1, 0, false},
    {"pc parsec parsecs", {1}, 30856775814913673, 1, 0, true},
    {"平方米 平方メートル 제곱미터", {2}, 1, 1, 0, false},
    {"平方厘米 平方センチメートル 제곱센티미터", {2}, 1, 1, -4, false},
    {"平方千米 平方公里", {2}, 1, 1, 6, false},
    {"立方米 立方メートル 세제곱미터", {3}, 1, 1, 0, false},
    {"立方厘米 立方センチメートル 세제곱센티미터", {3}, 1, 1, -6, false},
    {"acre acres", {2}, 40468564, 1, -4, false},
    {"ha hectare hectares", {2}, 1, 1, 4, false},
    {"kgs", {0, 1}, 1, 1, 0, false},
    {"g gm gram grams gramo gramos gramme grammes", {0, 1}, 1, 1, -3, true},
    {"千克 公斤 キログラム 킬로그램", {0, 1}, 1, 1, 0, false},
    {"克 グラム 그램", {0, 1}, 1, 1, -3, false},
    {"吨 噸 トン 톤 t tonne tonnes", {0, 1}, 1, 1, 3, false},
    {"ton tons", {0, 1}, 90718474, 1, -5, false},
    {"lb lbs pound pounds", {0, 1}, 45359237, 1, -8, false},
    {"oz ounce ounces", {0, 1}, 45359237, 16, -8, false},
    {"amu Da dalton daltons", {0, 1}, 166053906660, 1, -38, false},
    {"s sec secs second seconds segundo segundos seconde secondes Sekunde Sekunden",
     {0, 0, 1},
     1,
     1,
     0,
     true},
    {"秒 秒钟 秒間 초", {0, 0, 1}, 1, 1, 0, false},
    {"min mins minute minutes minuto minutos Minuten 分 分钟 分鐘 分間 분",
     {0, 0, 1},
     60,
     1,
     0,
     false},
    {"h hr hrs hour hours hora horas heure heures Stunde Stunden 小时 小時 时 時間 시간",
     {0, 0, 1},
     3600,
     1,
     0,
     false},
    {"d day days día días dia dias jour jours Tag Tage Tagen 天 日 日間 일",
     {0, 0, 1},
     86400,
     1,
     0,
     false},
    {"week weeks semana semanas semaine semaines Woche Wochen 周 週 週間 星期 주",
     {0, 0, 1},
     604800,
     1,
     0,
     false},
    {"month months mes meses mois Monat Monate 个月 個月 月 か月 ヶ月 개월",
     {0, 0, 1},
     2629746,
     1,
     0,
     false},
    {"yr yrs year years año años ano anos ans années Jahr Jahre Jahren 年 年間 년",
     {0, 0, 1},
     31556952,
     1,
     0,
     false},
    {"岁 歲 歳 才 살 세", {0, 0, 1}, 31556952, 1, 0, false},
    {"L l liter liters litre litres litro litros", {3}, 1, 1, -3, true},
    {"升 リットル 리터", {3}, 1, 1, -3, false},
    {"毫升 ミリリットル 밀리리터", {3}, 1, 1, -6, false},
    {"cc", {3}, 1, 1, -6, false},
    {"gal gallon gallons", {3}, 3785411784, 1, -12, false},
    {"qt quart quarts", {3}, 946352946, 1, -12, false},
    {"pt pint pints", {3}, 473176473, 1, -12, false},
    {"cup cups", {3}, 473176473, 2, -12, false},
    {"tbsp tablespoon tablespoons", {3}, 473176473, 32, -12, false},
    {"tsp teaspoon teaspoons", {3}, 473176473, 96, -12, false},
    {"mph", {1, 0, -1}, 44704, 1, -5, false},
    {"kph kmh kmph", {1, 0, -1}, 10, 36, 0, false},
    {"mps", {1, 0, -1}, 1, 1, 0, false},
    {"rpm", {0, 0, -1}, 1, 60, 0, false},
    {"A amp amps ampere amperes", {0, 0, 0, 1}, 1, 1, 0, true},
    {"K kelvin kelvins", {0, 0, 0, 0, 1}, 1, 1, 0, true},
    {"mol mole moles", {0, 0, 0, 0, 0, 1}, 1, 1, 0, true},
    {"M molar", {-3, 0, 0, 0, 0, 1}, 1, 1, 3, true},
    {"cd candela candelas lm lumen lumens", {0, 0, 0, 0, 0, 0, 1}, 1, 1, 0, true},
    {"lx lux", {-2, 0, 0, 0, 0, 0, 1}, 1, 1, 0, true},
    {"N newton newtons", {1, 1, -2}, 1, 1, 0, true},
    {"dyn dyne dynes", {1, 1, -2}, 1, 1, -5, false},
    {"lbf", {1, 1, -2}, 44482216152605, 1, -13, false},
    {"J joule joules", {2, 1, -2}, 1, 1, 0, true},
    {"erg ergs", {2, 1, -2}, 1, 1, -7, false},
    {"Nm Wsec", {2, 1, -2}, 1, 1, 0, false},
    {"eV electronvolt electronvolts", {2, 1, -2}, 1602176634, 1, -28, true},
    {"cal calorie calories", {2, 1, -2}, 4184, 1, -3, true},
    {"Wh", {2, 1, -2}, 3600, 1, 0, true},
    {"W watt watts", {2, 1, -3}, 1, 1, 0, true},
    {"hp horsepower", {2, 1, -3}, 745699872, 1, -6, false},
    {"V volt volts", {2, 1, -3, -1}, 1, 1, 0, true},
    {"C coulomb coulombs", {0, 0, 1, 1}, 1, 1, 0, true},
    {"Ah", {0, 0, 1, 1}, 3600, 1, 0, true},
    {"F farad farads", {-2, -1, 4, 2}, 1, 1, 0, true},
    {"Ohm ohm ohms Ω", {2, 1, -3, -2}, 1, 1, 0, true},
    {"S siemens", {-2, -1, 3, 2}, 1, 1, 0, true},
    {"Wb weber webers", {2, 1, -2, -1}, 1, 1, 0, true},
    {"T tesla teslas", {0, 1, -2, -1}, 1, 1, 0, true},
    {"G gauss", {0, 1, -2, -1}, 1, 1, -4, false},
    {"H henry henries henrys", {2, 1, -2, -2}, 1, 1, 0, true},
    {"Pa pascal pascals", {-1, 1, -2}, 1, 1, 0, true},
    {"bar bars", {-1, 1, -2}, 1, 1, 5, true},
    {"atm atmosphere atmospheres", {-1, 1, -2}, 101325, 1, 0, false},
    {"torr Torr mmHg", {-1, 1, -2}, 101325, 760, 0, false}, // that differ by less than is measured
    {"psi", {-1, 1, -2}, 6894757293168, 1, -9, false},
    {"Hz hertz", {0, 0, -1}, 1, 1, 0, true},
    {"Bq becquerel becquerels", {0, 0, -1}, 1, 1, 0, true},
    {"Gy gray grays Sv sievert sieverts", {2, 0, -2}, 1, 1, 0, true},
    {"kat katal", {0, 0, -1, 0, 0, 1}, 1, 1, 0, true},
    {"dollar dollars USD usd buck bucks 美元 美金 ドル 달러 dólar dólares доллар долларов доллара",
     {0, 0, 0, 0, 0, 0, 0, 1},
     1,
     1,
     0,
     false},
    {"cent cents", {0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, -2, false},
    {"bit bits", {0, 0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, 0, true},
    {"B byte bytes", {0, 0, 0, 0, 0, 0, 0, 0, 1}, 8, 1, 0, true},
    {"rad radian radians 弧度 ラジアン", {[UNIT_RADIAN] = 1}, 1, 1, 0, true},
    {"sr steradian steradians", {0}, 1, 1, 0, false},
};

// Symbols and words of the powers of ten. "da" is left out: no one writes it.
static const struct prefix {
    const char *symbol, *word;
    int16_t ten;
} PREFIXES[] = {
    {"k", "kilo", 3},    {"c", "centi", -2}, {"m", "milli", -3}, {"M", "mega", 6},
    {"G", "giga", 9},    {"T", "tera", 12},  {"u", "micro", -6}, {"µ", "micro", -6},
    {"n", "nano", -9},   {"p", "pico", -12}, {"d", "deci", -1},  {"h", "hecto", 2},
    {"f", "femto", -15}, {"P", "peta", 15},  {"a", "atto", -18}, {"E", "exa", 18},
};

// Currencies without a rate of exchange: spellings of one are a row.
static const char *const CURRENCIES[] = {
    "euro euros EUR 欧元 ユーロ 유로",
    "sterling GBP quid 英镑",
    "yen JPY 円 日元",
    "rupee rupees INR Rs रुपये रुपए",
    "yuan CNY RMB 元 块 块钱 塊 人民币",
    "won KRW 원",
    "peso pesos",
    "ruble rubles RUB рубль рубля рублей",
    "franc francs CHF",
    "real reais BRL",
    "baht THB บาท",
    "đồng VND",
    "zloty zł PLN",
    "krona kronor SEK",
};

// Things that are counted, in the order of strcmp; plurals are found by their ending.
static const char *const COUNTED[] = {
    "adult",       "animal",     "answer",      "ant",       "apartment",   "apple",
    "arrangement", "artist",     "athlete",     "atom",      "award",       "baby",
    "badge",       "bag",        "bagel",       "ball",      "balloon",     "banana",
    "barrel",      "basket",     "battery",     "bead",      "bean",        "bear",
    "bed",         "bee",        "bench",       "berry",     "bicycle",     "bike",
    "bird",        "blanket",    "block",       "boat",      "book",        "bottle",
    "bowl",        "box",        "boy",         "bracelet",  "branch",      "brick",
    "brother",     "brownie",    "bucket",      "building",  "bulb",        "bun",
    "bundle",      "bus",        "bush",        "bushel",    "button",      "cake",
    "call",        "can",        "candle",      "candy",     "car",         "card",
    "carrot",      "carton",     "case",        "cat",       "cell",        "chair",
    "chapter",     "cherry",     "chicken",     "child",     "chocolate",   "choice",
    "circle",      "citizen",    "class",       "click",     "coat",        "code",
    "coin",        "color",      "colour",      "column",    "combination", "computer",
    "consonant",   "container",  "cookie",      "couch",     "coupon",      "cousin",
    "cow",         "crate",      "crayon",      "cube",      "cupcake",     "customer",
    "dancer",      "desk",       "die",         "digit",     "dime",        "discount",
    "dish",        "divisor",    "doctor",      "dog",       "doll",        "donut",
    "door",        "dose",       "download",    "draw",      "drawer",      "dress",
    "driver",      "duck",       "edge",        "egg",       "electron",    "element",
    "email",       "employee",   "envelope",    "equation",  "eraser",      "exam",
    "face",        "factor",     "family",      "farmer",    "fish",        "flag",
    "flight",      "flip",       "floor",       "flower",    "folder",      "follower",
    "fork",        "friend",     "frog",        "function",  "game",        "gift",
    "girl",        "glass",      "goal",        "goat",      "grade",       "grandchild",
    "grape",       "guest",      "hat",         "hit",       "hole",        "horse",
    "house",       "ingredient", "inning",      "integer",   "invitation",  "item",
    "jacket",      "jar",        "jump",        "kid",       "kite",        "kitten",
    "knife",       "lady",       "lamp",        "lantern",   "lap",         "laptop",
    "leaf",        "lemon",      "lesson",      "letter",    "line",        "lion",
    "load",        "loaf",       "loan",        "lollipop",  "loss",        "magazine",
    "man",         "marble",     "marker",      "match",     "meal",        "medal",
    "melon",       "member",     "message",     "molecule",  "monkey",      "moon",
    "mouse",       "move",       "movie",       "muffin",    "multiple",    "musician",
    "napkin",      "necklace",   "neighbor",    "neutron",   "newspaper",   "nickel",
    "note",        "notebook",   "number",      "nurse",     "nut",         "object",
    "onion",       "option",     "orange",      "order",     "outcome",     "pack",
    "package",     "packet",     "page",        "painting",  "pair",        "pancake",
    "paragraph",   "particle",   "passenger",   "path",      "patient",     "pattern",
    "payment",     "peach",      "peanut",      "pear",      "pebble",      "pen",
    "pencil",      "penny",      "permutation", "person",    "pet",         "petal",
    "phone",       "photo",      "photon",      "picture",   "pie",         "piece",
    "pig",         "pile",       "pill",        "pillow",    "pizza",       "plane",
    "planet",      "plant",      "plate",       "player",    "plum",        "point",
    "polynomial",  "portion",    "possibility", "poster",    "potato",      "present",
    "prime",       "prize",      "problem",     "proton",    "pumpkin",     "puppy",
    "purchase",    "pushup",     "puzzle",      "quarter",   "question",    "quiz",
    "rabbit",      "ream",       "recipe",      "rectangle", "region",      "resident",
    "revolution",  "ring",       "robot",       "rock",      "roll",        "room",
    "root",        "rose",       "rotation",    "round",     "route",       "row",
    "ruler",       "run",        "runner",      "sale",      "sandwich",    "school",
    "seat",        "seed",       "segment",     "sentence",  "sequence",    "serving",
    "set",         "share",      "shark",       "sheep",     "sheet",       "shelf",
    "shell",       "ship",       "shirt",       "shoe",      "shovel",      "sibling",
    "side",        "singer",     "sister",      "situp",     "slice",       "sock",
    "soldier",     "solution",   "song",        "spider",    "spoon",       "square",
    "stack",       "stamp",      "star",        "step",      "sticker",     "stock",
    "stone",       "strawberry", "string",      "student",   "subscriber",  "subset",
    "suit",        "swimmer",    "syllable",    "table",     "tablet",      "tart",
    "teacher",     "team",       "tent",        "term",      "test",        "ticket",
    "tie",         "tile",       "tin",         "tire",      "tomato",      "toss",
    "touchdown",   "towel",      "toy",         "train",     "tree",        "triangle",
    "trip",        "trophy",     "truck",       "turn",      "turtle",      "value",
    "vertex",      "view",       "visit",       "visitor",   "vitamin",     "vote",
    "voter",       "vowel",      "waffle",      "wall",      "watermelon",  "way",
    "whale",       "wheel",      "win",         "window",    "wolf",        "woman",
    "word",        "worker",
};

// Plurals of their own.
static const char *const IRREGULAR[][2] = {
    {"children", "child"}, {"dice", "die"},        {"grandchildren", "grandchild"},
    {"knives", "knife"},   {"leaves", "leaf"},     {"loaves", "loaf"},
    {"men", "man"},        {"mice", "mouse"},      {"people", "person"},
    {"shelves", "shelf"},  {"vertices", "vertex"}, {"wolves", "wolf"},
    {"women", "woman"},
};

// What counts without saying what, of scripts that write no spaces: the longest of them that a word
// begins with counts.
static const char *const COUNTERS[] = {
    "个", "個",   "只", "隻", "本", "枚",   "人",   "名",   "种",   "種",   "次",   "件",
    "条", "條",   "张", "張", "辆", "輛",   "棵",   "颗",   "顆",   "台",   "头",   "匹",
    "位", "页",   "頁", "篇", "道", "题",   "支",   "双",   "套",   "对",   "組",   "组",
    "排", "行",   "列", "层", "间", "座",   "家",   "袋",   "包",   "箱",   "瓶",   "杯",
    "碗", "盒",   "份", "点", "點", "步",   "株",   "朵",   "把",   "块",   "根",   "片",
    "粒", "艘",   "架", "户", "项", "局",   "场",   "轮",   "班",   "号",   "枝",   "桶",
    "筐", "串",   "滴", "圈", "遍", "回",   "つ",   "冊",   "匹",   "羽",   "通り", "通",
    "杯", "皿",   "着", "軒", "問", "点",   "度",   "개",   "명",   "마리", "권",   "장",
    "번", "가지", "대", "병", "잔", "송이", "그루", "자루", "사람", "쌍",   "점",   "회",
    "줄", "টি",   "টা", "জন", "คน", "ตัว",   "ลูก",   "ใบ",   "อัน",   "เล่ม",
};

static bool spelled(struct slice word, const char *words) {
    for (const char *w = words; *w;) {
        const size_t len = strcspn(w, " ");
        if (len == word.len &&
            (len > 3 ? ascii_same(w, word.ptr, len) : memcmp(w, word.ptr, len) == 0))
            return true;
        w += len + (w[len] == ' ');
    }
    return false;
}

static void set(struct math_unit *out, const struct unit_row *row, int ten) {
    *out = (struct math_unit){.num = row->num, .den = row->den, .ten = (int16_t)(row->ten + ten)};
    memcpy(out->dimension, row->dimension, sizeof out->dimension);
}

// A name behind a prefix of the same sort: "km", "kilometers", but not "kmeters".
static bool find_prefixed(struct slice name, struct math_unit *out) {
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        const char *const texts[] = {PREFIXES[i].symbol, PREFIXES[i].word};
        for (int word = 0; word < 2; word++) {
            const size_t len = strlen(texts[word]);
            if (name.len <= len || !(word ? ascii_same(name.ptr, texts[word], len)
                                          : memcmp(name.ptr, texts[word], len) == 0))
                continue;
            const struct slice rest = {name.ptr + len, name.len - len};
            if ((rest.len > 3) != word && !slice_is(rest, "Ohm")) continue;
            for (size_t k = 0; k < sizeof ROWS / sizeof *ROWS; k++) {
                if (!ROWS[k].prefixes || !spelled(rest, ROWS[k].words)) continue;
                set(out, &ROWS[k], PREFIXES[i].ten);
                return true;
            }
        }
    }
    return false;
}

bool unit_find(struct slice name, struct math_unit *out) {
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (!spelled(name, ROWS[i].words)) continue;
        set(out, &ROWS[i], 0);
        return true;
    }
    return find_prefixed(name, out);
}

uint32_t unit_hash(struct slice word) {
    uint32_t h = 2166136261u;
    size_t len = word.len;
    if (len > 3 && ascii_lower(word.ptr[len - 1]) == 's') len--;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)ascii_lower(word.ptr[i])) * 16777619u;
    return h ? h : 1;
}

bool unit_find_currency(struct slice word, struct math_unit *out) {
    for (size_t i = 0; i < sizeof CURRENCIES / sizeof *CURRENCIES; i++) {
        if (!spelled(word, CURRENCIES[i])) continue;
        const size_t first = strcspn(CURRENCIES[i], " ");
        *out = (struct math_unit){.num = 1, .den = 1};
        out->counted = unit_hash((struct slice){CURRENCIES[i], first});
        return true;
    }
    return false;
}

static int by_text(const void *key, const void *element) {
    return strcmp(key, *(const char *const *)element);
}

static const char *counted(const char *word) {
    const char *const *found =
        bsearch(word, COUNTED, sizeof COUNTED / sizeof *COUNTED, sizeof *COUNTED, by_text);
    return found ? *found : NULL;
}

// The singular of a counted thing: of "boxes", "box". NULL: nothing that is known.
static const char *singular(struct slice word) {
    static const char *const ENDINGS[][2] = {{"", ""}, {"s", ""}, {"es", ""}, {"ies", "y"}};
    char text[24];
    if (word.len + 1 > sizeof text) return NULL;
    for (size_t i = 0; i < word.len; i++) text[i] = ascii_lower(word.ptr[i]);
    text[word.len] = 0;
    for (size_t i = 0; i < sizeof IRREGULAR / sizeof *IRREGULAR; i++)
        if (strcmp(text, IRREGULAR[i][0]) == 0) return IRREGULAR[i][1];
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        const size_t len = strlen(ENDINGS[i][0]);
        if (word.len <= len || memcmp(text + word.len - len, ENDINGS[i][0], len)) continue;
        strcpy(text + word.len - len, ENDINGS[i][1]);
        const char *found = counted(text);
        if (found) return found;
        memcpy(text + word.len - len, ENDINGS[i][0], len + 1);
    }
    return NULL;
}

bool unit_find_counted(struct slice word, struct math_unit *out) {
    const char *thing = singular(word);
    if (!thing) return unit_find_currency(word, out);
    *out = (struct math_unit){.num = 1, .den = 1, .counted = unit_hash(slice_of(thing))};
    return true;
}

// Behind a counter or unit of such a script: what would change the number, or name another one.
static bool is_harmless(struct slice rest) {
    static const char *const CHANGES[] = {
        "或",   "以上", "以下", "以内", "以外", "左右",   "多",   "余", "餘", "至",   "到",
        "不",   "非",   "上下", "分之", "倍",   "半",     "千",   "万", "萬", "亿",   "億",
        "错",   "錯",   "未満", "前後", "か",   "または", "ない", "超", "약", "이상", "이하",
        "또는", "미만", "아니", "천",   "만",   "억",     "배",   "반", "বা", "หรือ",
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++)
        if (memmem(rest.ptr, rest.len, CHANGES[i], strlen(CHANGES[i]))) return false;
    return true;
}

// "です", "입니다": the verb behind a number.
static bool is_copula(struct slice word) {
    static const char *const COPULAS[] = {"です",   "だ",         "である", "となる", "となります",
                                          "になる", "になります", "입니다", "이다",   "다",
                                          "이에요", "예요",       "이고",   "임"};
    for (size_t i = 0; i < sizeof COPULAS / sizeof *COPULAS; i++)
        if (slice_is(word, COPULAS[i])) return true;
    return false;
}

size_t unit_counter(struct slice word, struct math_unit *out) {
    size_t best = 0;
    *out = (struct math_unit){.num = 1, .den = 1};
    if ((unsigned char)word.ptr[0] < 0x80) return 0;
    if (is_copula(word)) return word.len;
    for (size_t len = 3; len <= word.len && len <= 30; len += 3) {
        const struct slice head = {word.ptr, len};
        struct math_unit unit;
        if (!unit_find(head, &unit) && !unit_find_currency(head, &unit)) continue;
        *out = unit;
        best = len;
    }
    for (size_t i = 0; i < sizeof COUNTERS / sizeof *COUNTERS; i++) {
        const size_t len = strlen(COUNTERS[i]);
        if (len <= best || len > word.len || memcmp(word.ptr, COUNTERS[i], len)) continue;
        *out = (struct math_unit){.num = 1, .den = 1, .counter = true};
        best = len;
    }
    const struct slice rest = {word.ptr + best, word.len - best};
    return best && is_harmless(rest) ? word.len : 0;
}

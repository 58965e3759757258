// Two histograms as one SVG picture.
#include <math.h>
#include <stdio.h>

#include "verifiers/score/score_stats.h"

enum { WIDTH = 640, HEIGHT = 180, LEFT = 40, TOP = 30, GAP = 60 };

static void label(struct buffer *out, double x, double y, const char *anchor, const char *text) {
    buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                  text);
}

// Bins from the first to the last that is not empty; `edge` names a bin's lower end.
static void chart(struct buffer *out, double top, const char *title, const uint64_t *bins, int n,
                  void (*edge)(int bin, char text[32])) {
    int first = 0, last = n - 1;
    uint64_t most = 1;
    char text[64];
    while (first < n - 1 && bins[first] == 0) first++;
    while (last > first && bins[last] == 0) last--;
    for (int i = first; i <= last; i++)
        if (bins[i] > most) most = bins[i];
    const double step = (double)WIDTH / (last - first + 1);
    label(out, LEFT, top - 10, "start", title);
    for (int i = first; i <= last; i++) {
        const double x = LEFT + step * (i - first);
        const double height = HEIGHT * (double)bins[i] / (double)most;
        buffer_printf(out,
                      "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%llu"
                      "</title></rect>\n",
                      x, top + HEIGHT - height, step * 0.9, height, (unsigned long long)bins[i]);
        if ((i - first) % (1 + (last - first) / 12) != 0) continue;
        edge(i, text);
        label(out, x, top + HEIGHT + 14, "start", text);
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)most);
    label(out, LEFT - 4, top + 10, "end", text);
}

static void reward_edge(int bin, char text[32]) {
    if (bin == 0)
        snprintf(text, 32, "&lt; -2");
    else
        snprintf(text, 32, "%.1f", (bin - 1) / 10.0 - 2);
}

static void length_edge(int bin, char text[32]) {
    snprintf(text, 32, "%.0f", bin == 0 ? 0 : ceil(exp2((bin - 1) / 2.0) - 1e-9));
}

void score_histogram(const struct score_stats *s, struct buffer *out) {
    const bool tokens = s->n_without_tokens == 0;
    buffer_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "font-family=\"sans-serif\" font-size=\"11\" fill=\"#345\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                  WIDTH + 2 * LEFT, 2 * (TOP + HEIGHT) + GAP);
    chart(out, TOP, "rewards", s->rewards, STATS_N_REWARD_BINS, reward_edge);
    chart(out, TOP + HEIGHT + GAP, tokens ? "length (tokens)" : "length (bytes)",
          tokens ? s->lengths : s->byte_lengths, STATS_N_LENGTH_BINS, length_edge);
    buffer_add_text(out, "</svg>\n");
}

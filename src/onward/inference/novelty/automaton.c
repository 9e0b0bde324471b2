/* The suffix automaton of a text, and the walk of documents through it (automaton.py describes both).

   A state stands for the substrings of the text that end at the same places. Its longest one has `length` symbols,
   and its shortest one is one symbol longer than the longest one of its link. State 0 is the empty text. Edges are
   found in a hash table by their state and symbol; the edges of one state are a list, too. All arrays belong to the
   caller. */

#include <stdint.h>

typedef struct {
    int64_t states, edges, mask; /* numbers of states and edges; the size of the table less one */
    int32_t *length, *link, *first_edge; /* of each state */
    int32_t *owner, *target, *next_edge; /* of each edge */
    uint32_t *symbol;
    int32_t *table;                                /* edges by hash; -1 is empty */
    int32_t *prefix;                               /* the state of each prefix of the text */
    int32_t *best;                                 /* of each state: length of its longest match, and where ... */
    int64_t *best_end, *best_line, *any_end, *any_line; /* ... it first ended; where any match first ended */
    int64_t state, matched; /* of the document: the longest match that ends here */
    int64_t end, line;      /* symbols and lines of all documents so far */
    int64_t minimum, newline;
} Automaton;

static int64_t slot_of(const Automaton *a, int32_t state, uint32_t symbol) {
    uint64_t key = ((uint64_t)(uint32_t)state << 32 | symbol) * UINT64_C(0x9E3779B97F4A7C15);
    int64_t slot = (int64_t)(key >> 32) & a->mask;
    for (;;) {
        int32_t edge = a->table[slot];
        if (edge < 0 || (a->owner[edge] == state && a->symbol[edge] == symbol)) return slot;
        slot = (slot + 1) & a->mask;
    }
}

static void add_edge(Automaton *a, int32_t state, uint32_t symbol, int32_t target) {
    int32_t edge = (int32_t)a->edges++;
    a->owner[edge] = state;
    a->symbol[edge] = symbol;
    a->target[edge] = target;
    a->next_edge[edge] = a->first_edge[state];
    a->first_edge[state] = edge;
    a->table[slot_of(a, state, symbol)] = edge;
}

static int32_t add_state(Automaton *a, int32_t length, int32_t link) {
    int32_t state = (int32_t)a->states++;
    a->length[state] = length;
    a->link[state] = link;
    a->first_edge[state] = -1;
    return state;
}

/* Splits the strings of at most `length` symbols off the target of an edge, which longer strings reach too. */
static int32_t split(Automaton *a, int32_t from, uint32_t symbol, int32_t target) {
    int32_t clone = add_state(a, a->length[from] + 1, a->link[target]);
    for (int32_t edge = a->first_edge[target]; edge >= 0; edge = a->next_edge[edge])
        add_edge(a, clone, a->symbol[edge], a->target[edge]);
    for (; from >= 0; from = a->link[from]) {
        int32_t edge = a->table[slot_of(a, from, symbol)];
        if (edge < 0 || a->target[edge] != target) break;
        a->target[edge] = clone;
    }
    a->link[target] = clone;
    return clone;
}

void onward_automaton_build(Automaton *a, const uint32_t *text, int64_t size) {
    int32_t last = add_state(a, 0, -1);
    for (int64_t i = 0; i < size; i++) {
        uint32_t symbol = text[i];
        int32_t state = add_state(a, (int32_t)i + 1, 0), from = last;
        for (; from >= 0; from = a->link[from]) {
            int32_t edge = a->table[slot_of(a, from, symbol)];
            if (edge >= 0) {
                int32_t target = a->target[edge];
                int is_longest = a->length[from] + 1 == a->length[target];
                a->link[state] = is_longest ? target : split(a, from, symbol, target);
                break;
            }
            add_edge(a, from, symbol, state);
        }
        a->prefix[i] = last = state;
    }
}

void onward_automaton_read(Automaton *a, const uint32_t *symbols, int64_t size) {
    int32_t state = (int32_t)a->state;
    int64_t matched = a->matched;
    for (int64_t i = 0; i < size; i++) {
        a->end++;
        a->line += symbols[i] == a->newline;
        int32_t edge;
        while ((edge = a->table[slot_of(a, state, symbols[i])]) < 0 && state > 0) {
            state = a->link[state];
            matched = a->length[state];
        }
        if (edge < 0) continue; /* the empty match */
        state = a->target[edge];
        matched++;
        if (matched < a->minimum) continue;
        if (a->any_end[state] == 0) {
            a->any_end[state] = a->end;
            a->any_line[state] = a->line;
        }
        if (matched > a->best[state]) {
            a->best[state] = (int32_t)matched;
            a->best_end[state] = a->end;
            a->best_line[state] = a->line;
        }
    }
    a->state = state;
    a->matched = matched;
}

static void match(int32_t *best, int64_t *best_end, int64_t *best_line, int32_t length, int64_t end, int64_t line) {
    if (*best > length || (*best == length && *best_end <= end)) return;
    *best = length;
    *best_end = end;
    *best_line = line;
}

/* Completes the matches of each state: where a string occurs, its suffixes occur too. `order` are the states, the
   longest first. Then returns the longest match that ends after each symbol of the text. */
void onward_automaton_finish(Automaton *a, const int32_t *order, int64_t size, int32_t *lengths, int64_t *ends,
                             int64_t *lines) {
    for (int64_t i = 0; i < a->states; i++) {
        int32_t state = order[i], link = a->link[state];
        if (link < 0 || a->any_end[state] == 0) continue;
        match(&a->best[link], &a->best_end[link], &a->best_line[link], a->length[link], a->any_end[state],
              a->any_line[state]);
        if (a->any_end[link] == 0 || a->any_end[state] < a->any_end[link]) {
            a->any_end[link] = a->any_end[state];
            a->any_line[link] = a->any_line[state];
        }
    }
    for (int64_t i = a->states - 1; i >= 0; i--) { /* the shortest first */
        int32_t state = order[i], link = a->link[state];
        if (link < 0 || a->best[state]) continue;
        a->best[state] = a->best[link];
        a->best_end[state] = a->best_end[link];
        a->best_line[state] = a->best_line[link];
    }
    for (int64_t i = 0; i < size; i++) {
        int32_t state = a->prefix[i];
        lengths[i] = a->best[state];
        ends[i] = a->best_end[state];
        lines[i] = a->best_line[state];
    }
}

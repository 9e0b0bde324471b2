/* Online n-gram counts and the longest match, mixed with the network's prediction.
 *
 * `reference.py` does the same in Python; its docstring explains the method. All state is one array of 32-bit words
 * (see layout.py), so one journal can undo every change. A record of the journal has the old words and their offset.
 * The probabilities of cells are integers, so that they do not depend on the compiler. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { /* as in layout.py */
    MOST_CONTEXTS = 12,
    RECENT = 16, /* symbols in a place */
    MOST_CANDIDATES = 40,
    BUCKET = 16,       /* entries in a bucket: one cache line */
    MOST_COUNT = 31,   /* of an entry: five bits */
    LATEST = 32,       /* the bit above them: the latest symbol of its context */
    LEVELS = 12,       /* of a count */
    LENGTHS = 13,      /* levels of the length of a match */
    RANKS = 4,         /* of a candidate */
    CHANCES = 8,       /* levels of the network's logit */
    CURVES = 1024,     /* of the refinement */
    POINTS = 33,       /* of a curve */
    SHORTEST_MATCH = 12,
    LONGEST_MATCH = 65535,
    FADE_ABOVE = 5,
    FEW_OBSERVATIONS = 255,
    MANY_OBSERVATIONS = 1000,
    MOST_RECORDED = 4096, /* words that one symbol adds to the journal */
};
enum { WORD = 100, PAIR, PREVIOUS }; /* kinds of context other than the last n symbols */
enum { NUMBER, WORD_HASH, PREVIOUS_HASH, MATCH, LENGTH, HEADER }; /* fields of a place; then the last symbols */
enum { LEARNED = HEADER }; /* the word after the place: number of symbols from which the mixer has learned */

static const double ENOUGH = 1e-3, CLEAR = 5e-3, LARGEST = 16.0, LEAST = 1e-7;
static const uint32_t ONE = 4194303; /* the probability 1 in a cell: 22 bits; the other 10 count observations */

typedef struct {
    int64_t symbols, contexts, symbol_bits, buckets, text, heads;      /* sizes; those of text and heads: powers of 2 */
    int64_t text_at, heads_at, cells_at, weights_at, curves_at, table_at; /* offsets in `words` */
    int64_t journal, journal_used, journal_end;                        /* words */
    int64_t undoable, most_undoable, undo_end;                         /* symbols */
    double first_rate, last_rate, slowing;
    const int64_t *kinds;    /* of the contexts, the most informative first (contexts,) */
    const uint32_t *letters; /* 0 for symbols that are not part of words; equal for a letter in both cases (symbols,) */
    const double *logits;    /* of the probabilities in 4096ths (4096,) */
    uint32_t *words, *old_words, *old_sizes;
    int32_t *slots; /* -1 for each symbol (symbols,) */
} Memory;

typedef struct {
    int count, length; /* candidates; level of the length of the match, whose symbol is the first candidate */
    uint32_t hashes[MOST_CONTEXTS];
    int totals[MOST_CONTEXTS];
    uint32_t symbols[MOST_CANDIDATES];
    int named_by[MOST_CANDIDATES];                   /* the first context that has the candidate */
    uint8_t entries[MOST_CANDIDATES][MOST_CONTEXTS]; /* count and LATEST */
    double chances[MOST_CANDIDATES];                 /* by the network, given that no earlier one comes */
    double tails[MOST_CANDIDATES + 1]; /* the network's probability of this candidate or any symbol after it */
} Evidence;

typedef struct {
    double x[MOST_CONTEXTS + 3];
    int64_t cells[MOST_CONTEXTS + 1]; /* offset in `words`, or -1 */
    int64_t weights[2], curve;        /* offsets in `words` */
    double mixed, probability;
    int far; /* whether the mixed logit is nearer to the next point of the curve */
} Decision;

INLINE uint32_t mix(uint32_t h, uint32_t symbol)
{
    h = (h ^ (symbol + 1)) * 0x9e3779b1u;
    return h ^ (h >> 15);
}

INLINE double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

INLINE float weight(const Memory *m, int64_t at)
{
    float w;
    memcpy(&w, m->words + at, sizeof w);
    return w;
}

/* ---- the journal ---- */

INLINE void push(Memory *m, uint32_t word)
{
    m->old_words[m->journal_end] = word;
    m->journal_end = m->journal_end + 1 == m->journal ? 0 : m->journal_end + 1;
    m->journal_used++;
    m->old_sizes[m->undo_end]++;
}

INLINE uint32_t pop(Memory *m)
{
    m->journal_end = (m->journal_end ? m->journal_end : m->journal) - 1;
    m->journal_used--;
    return m->old_words[m->journal_end];
}

/* Records words before they change, at most 15. */
INLINE void record(Memory *m, int64_t at, int count)
{
    if (!m->journal)
        return;
    for (int i = 0; i < count; i++)
        push(m, m->words[at + i]);
    push(m, (uint32_t)(at << 4 | count));
}

INLINE void set(Memory *m, int64_t at, uint32_t word)
{
    if (m->words[at] == word)
        return;
    record(m, at, 1);
    m->words[at] = word;
}

/* Begins the records of a symbol. The oldest symbols make room for them. */
static void begin_symbol(Memory *m)
{
    if (!m->journal)
        return;
    while (m->undoable && (m->undoable == m->most_undoable || m->journal - m->journal_used < MOST_RECORDED)) {
        int64_t oldest = (m->undo_end - m->undoable + m->most_undoable) % m->most_undoable;
        m->journal_used -= m->old_sizes[oldest];
        m->undoable--;
    }
    m->old_sizes[m->undo_end] = 0;
}

static void end_symbol(Memory *m)
{
    if (!m->journal)
        return;
    m->undo_end = (m->undo_end + 1) % m->most_undoable;
    m->undoable++;
}

/* Takes back the last `count` symbols; at most `undoable`. */
void onward_memory_undo(Memory *m, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        m->undo_end = (m->undo_end ? m->undo_end : m->most_undoable) - 1;
        m->undoable--;
        int64_t left = m->journal_used - m->old_sizes[m->undo_end];
        while (m->journal_used > left) {
            uint32_t header = pop(m);
            for (int word = (int)(header & 15) - 1; word >= 0; word--)
                m->words[(header >> 4) + word] = pop(m);
        }
    }
}

/* ---- places ---- */

/* Returns the level of a length of a match. */
INLINE int length_level(uint32_t length)
{
    static const uint16_t from[LENGTHS] = {0, 1, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128, 256};
    int level = 0;
    while (level + 1 < LENGTHS && length >= from[level + 1])
        level++;
    return level;
}

/* Returns whether the text still has a position. */
INLINE int has(const Memory *m, uint32_t position)
{
    uint32_t age = m->words[NUMBER] - position;
    return age >= 1 && age <= (uint32_t)m->text;
}

INLINE uint32_t text_at(const Memory *m, uint32_t position)
{
    return m->words[m->text_at + (position & (uint32_t)(m->text - 1))];
}

INLINE int64_t head_of(const Memory *m, const uint32_t *recent)
{
    uint32_t h = 7;
    for (int i = 0; i < SHORTEST_MATCH; i++)
        h = mix(h, recent[i]);
    return m->heads_at + ((h * 0x9e3779b1u) >> 8 & (uint32_t)(m->heads - 1));
}

/* Moves a place on by one symbol. */
static void advance(const Memory *m, uint32_t *place, uint32_t symbol)
{
    uint32_t *recent = place + HEADER, letter = m->letters[symbol];
    memmove(recent + 1, recent, (RECENT - 1) * sizeof *recent);
    recent[0] = symbol;
    place[NUMBER]++;
    if (letter) {
        place[WORD_HASH] = mix(place[WORD_HASH], letter);
    } else if (place[WORD_HASH]) {
        place[PREVIOUS_HASH] = place[WORD_HASH];
        place[WORD_HASH] = 0;
    }
    if (place[LENGTH] && has(m, place[MATCH]) && text_at(m, place[MATCH]) == symbol) {
        place[MATCH]++;
        place[LENGTH] += place[LENGTH] < LONGEST_MATCH;
    } else {
        place[LENGTH] = 0;
    }
    if (!place[LENGTH]) {
        uint32_t at = m->words[head_of(m, recent)], length = 0;
        while (at && length < RECENT && has(m, at - 1 - length) && text_at(m, at - 1 - length) == recent[length])
            length++;
        place[MATCH] = length >= SHORTEST_MATCH ? at : 0;
        place[LENGTH] = length >= SHORTEST_MATCH ? length : 0;
    }
}

/* Writes the place after the last symbol of the text. */
void onward_memory_place(const Memory *m, uint32_t *place)
{
    memcpy(place, m->words, HEADER * sizeof *place);
    for (uint32_t i = 0; i < RECENT; i++)
        place[HEADER + i] = i < m->words[NUMBER] ? text_at(m, m->words[NUMBER] - 1 - i) : 0xfffffffeu;
}

/* Moves places (count, HEADER + RECENT) on by one symbol each. The memory does not change. */
void onward_memory_advance(const Memory *m, int64_t count, uint32_t *places, const int64_t *symbols)
{
    for (int64_t i = 0; i < count; i++)
        advance(m, places + i * (HEADER + RECENT), (uint32_t)symbols[i]);
}

/* ---- counts ---- */

INLINE int64_t bucket_of(const Memory *m, uint32_t hash)
{
    return m->table_at + (int64_t)((uint64_t)hash * (uint64_t)m->buckets >> 32) * BUCKET;
}

static void hash_contexts(const Memory *m, const uint32_t *place, uint32_t *hashes)
{
    const uint32_t *recent = place + HEADER;
    uint32_t orders[RECENT + 1] = {0x12345};
    for (int n = 0; n < RECENT; n++)
        orders[n + 1] = mix(orders[n], recent[n]);
    for (int i = 0; i < m->contexts; i++) {
        int64_t kind = m->kinds[i];
        uint32_t h = kind == WORD     ? mix(place[WORD_HASH], 1)
                     : kind == PAIR     ? mix(mix(place[WORD_HASH], place[PREVIOUS_HASH]), 2)
                     : kind == PREVIOUS ? mix(mix(place[PREVIOUS_HASH], recent[0]), 3)
                                        : orders[kind];
        h = (h ^ (h >> 16)) * 0x85ebca6bu;
        h = (h ^ (uint32_t)(i + 1) * 0xc2b2ae35u) * 0x27d4eb2fu;
        hashes[i] = h ^ (h >> 15);
        __builtin_prefetch(m->words + bucket_of(m, hashes[i])); /* the buckets are far apart, and are all needed soon */
    }
}

/* An entry, from the high bits: check bits of its context, symbol, LATEST, count. An empty entry has count 0. */
INLINE int check_shift(const Memory *m) { return 6 + (int)m->symbol_bits; }
INLINE uint32_t check_of(const Memory *m, uint32_t hash) { return (hash * 0x85ebca6bu) >> check_shift(m); }
INLINE uint32_t symbol_of(const Memory *m, uint32_t entry) { return entry >> 6 & ((1u << m->symbol_bits) - 1); }

/* Counts a symbol in all contexts. The counts of other symbols fade. */
static void count(Memory *m, const uint32_t *hashes, uint32_t symbol)
{
    for (int i = 0; i < m->contexts; i++) {
        int64_t bucket = bucket_of(m, hashes[i]), found = -1, lowest = bucket;
        uint32_t check = check_of(m, hashes[i]);
        for (int64_t at = bucket; at < bucket + BUCKET; at++) {
            uint32_t entry = m->words[at], counted = entry & MOST_COUNT;
            if (counted && entry >> check_shift(m) == check) {
                if (symbol_of(m, entry) == symbol) {
                    found = at;
                    continue;
                }
                if (counted > FADE_ABOVE)
                    counted = (counted + FADE_ABOVE) / 2;
                set(m, at, (entry & ~(uint32_t)(MOST_COUNT | LATEST)) | counted);
            }
            if (counted < (m->words[lowest] & MOST_COUNT))
                lowest = at;
        }
        if (found >= 0) {
            uint32_t entry = m->words[found];
            set(m, found, (entry | LATEST) + ((entry & MOST_COUNT) < MOST_COUNT));
            continue;
        }
        if (m->words[lowest] & MOST_COUNT) /* the bucket is full: a quarter of it ages */
            for (int64_t at = bucket + (m->words[NUMBER] & 3); at < bucket + BUCKET; at += 4)
                if (at != lowest && (m->words[at] & MOST_COUNT) > 1)
                    set(m, at, m->words[at] - 1);
        set(m, lowest, check << check_shift(m) | symbol << 6 | LATEST | 1);
    }
}

/* Adds a symbol to the text, and counts it. */
static void append(Memory *m, uint32_t *place, const uint32_t *hashes, uint32_t symbol)
{
    count(m, hashes, symbol);
    set(m, m->text_at + (place[NUMBER] & (uint32_t)(m->text - 1)), symbol);
    set(m, NUMBER, place[NUMBER] + 1); /* so that the text has the symbol */
    advance(m, place, symbol);
    set(m, head_of(m, place + HEADER), place[NUMBER]);
    for (int i = WORD_HASH; i < HEADER; i++)
        set(m, i, place[i]);
}

/* ---- evidence ---- */

INLINE int candidate(const Memory *m, Evidence *e, uint32_t symbol, int context)
{
    int32_t *slot = m->slots + symbol;
    if (*slot < 0) {
        if (e->count == MOST_CANDIDATES)
            return -1;
        *slot = e->count++;
        e->symbols[*slot] = symbol;
        e->named_by[*slot] = context;
        memset(e->entries[*slot], 0, sizeof e->entries[*slot]);
    }
    return *slot;
}

/* Collects the candidates: the symbol of the match, then the symbols of each context. Of these, the latest is first;
 * the others are in descending order of their counts. */
static void gather(const Memory *m, const uint32_t *place, Evidence *e)
{
    hash_contexts(m, place, e->hashes);
    e->count = e->length = 0;
    if (place[LENGTH] && has(m, place[MATCH])) {
        e->length = length_level(place[LENGTH]);
        candidate(m, e, text_at(m, place[MATCH]), (int)m->contexts);
    }
    for (int i = 0; i < m->contexts; i++) {
        const uint32_t *bucket = m->words + bucket_of(m, e->hashes[i]);
        uint32_t check = check_of(m, e->hashes[i]), found[BUCKET];
        int size = 0;
        for (int j = 0; j < BUCKET; j++) {
            uint32_t entry = bucket[j];
            if (!(entry & MOST_COUNT) || entry >> check_shift(m) != check)
                continue;
            int at = size++;
            for (; at && (found[at - 1] & (LATEST | MOST_COUNT)) < (entry & (LATEST | MOST_COUNT)); at--)
                found[at] = found[at - 1];
            found[at] = entry;
        }
        e->totals[i] = 0;
        for (int j = 0; j < size; j++) {
            uint32_t symbol = symbol_of(m, found[j]);
            int c = symbol < m->symbols ? candidate(m, e, symbol, i) : -1;
            if (c < 0)
                continue;
            e->entries[c][i] = found[j] & (LATEST | MOST_COUNT);
            e->totals[i] += found[j] & MOST_COUNT;
        }
    }
}

/* Fills in the network's probabilities, and resets the slots of the candidates. */
static void compare(const Memory *m, Evidence *e, const float *network)
{
    double rest = 0.0;
    for (int64_t symbol = 0; symbol < m->symbols; symbol++)
        rest += m->slots[symbol] < 0 ? network[symbol] : 0.0f;
    e->tails[e->count] = rest;
    for (int c = e->count - 1; c >= 0; c--) {
        uint32_t symbol = e->symbols[c];
        m->slots[symbol] = -1;
        e->tails[c] = e->tails[c + 1] + network[symbol];
        e->chances[c] = network[symbol] / (e->tails[c] > 1e-30 ? e->tails[c] : 1e-30);
    }
}

/* ---- decisions ---- */

INLINE int count_level(int counted)
{
    static const uint8_t levels[MOST_COUNT + 1] = {0, 1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7, 7, 7, 7, 8,
                                                   8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10};
    return counted <= MOST_COUNT ? levels[counted] : counted < 64 ? 10 : 11;
}

/* Returns the number of candidates to decide on: if all symbols are candidates, the last one needs no decision. */
INLINE int decisions_of(const Memory *m, const Evidence *e) { return e->count < m->symbols ? e->count : e->count - 1; }

/* Computes the probability that candidate c comes, given that no earlier candidate does. `left` has each context's sum
 * of counts of this and later candidates; on return, of later ones. */
static void decide(const Memory *m, const Evidence *e, int c, int *left, uint32_t last, Decision *d)
{
    int contexts = (int)m->contexts, inputs = contexts + 3;
    double chance = clipped(e->chances[c], LEAST, 1.0 - LEAST);
    d->x[0] = log(chance / (1.0 - chance));
    int64_t cells = m->cells_at;
    for (int i = 0; i < contexts; i++, cells += 2 * LEVELS * LEVELS) {
        int entry = e->entries[c][i], counted = entry & MOST_COUNT, others = left[i] - counted;
        d->cells[i] = -1;
        if (left[i])
            d->cells[i] = cells + ((entry / LATEST) * LEVELS + count_level(counted)) * LEVELS + count_level(others);
        left[i] = others;
    }
    int matches = e->length && !c;
    d->cells[contexts] = matches ? cells + e->length : -1;
    for (int i = 0; i <= contexts; i++)
        d->x[i + 1] = d->cells[i] < 0 ? 0.0 : m->logits[m->words[d->cells[i]] >> 20];
    d->x[inputs - 1] = 0.3;
    int level = (int)clipped(floor((d->x[0] + 8.0) / 2.0), 0.0, CHANCES - 1);
    d->weights[0] = m->weights_at + (e->named_by[c] * RANKS + (c < RANKS ? c : RANKS - 1)) * inputs;
    d->weights[1] = m->weights_at + (contexts + 1) * RANKS * inputs + ((matches ? e->length : 0) * CHANCES + level) * inputs;
    double logit = 0.0;
    for (int i = 0; i < inputs; i++)
        logit += ((double)weight(m, d->weights[0] + i) + weight(m, d->weights[1] + i)) * d->x[i];
    logit = clipped(logit, -LARGEST, LARGEST);
    d->mixed = 1.0 / (1.0 + exp(-logit));
    double place = clipped((logit + 8.0) * 2.0, 0.0, POINTS - 1.001);
    int point = (int)place;
    d->far = place - point >= 0.5;
    uint32_t curve = ((last + 1) * 0x9e3779b1u + e->symbols[c] * 0x85ebca6bu) >> 22;
    d->curve = m->curves_at + (int64_t)curve * POINTS + point;
    double low = m->words[d->curve] >> 10, high = m->words[d->curve + 1] >> 10;
    double refined = (low + (high - low) * (place - point)) / ONE;
    d->probability = clipped(0.5 * d->mixed + 0.5 * refined, 1e-6, 1.0 - 1e-6);
}

/* Moves the probability of a cell towards the outcome. */
INLINE void observe(Memory *m, int64_t at, int came, uint32_t most)
{
    uint32_t cell = m->words[at], observations = cell & 1023;
    int64_t p = cell >> 10, step = ((came ? ONE : 0) - p) * 2 / (2 * (int64_t)observations + 3);
    set(m, at, (uint32_t)(p + step) << 10 | (observations + (observations < most)));
}

/* Learns whether the candidate of a decision came. */
static void learn(Memory *m, const Decision *d, int came)
{
    int inputs = (int)m->contexts + 3;
    double error = came - d->mixed;
    if (fabs(error) > CLEAR) {
        double rate = m->last_rate + (m->first_rate - m->last_rate) / (1.0 + m->words[LEARNED] / m->slowing);
        for (int part = 0; part < 2; part++) {
            record(m, d->weights[part], inputs);
            for (int i = 0; i < inputs; i++) {
                float changed = (float)(weight(m, d->weights[part] + i) + rate * error * d->x[i]);
                memcpy(m->words + d->weights[part] + i, &changed, sizeof changed);
            }
        }
    }
    for (int i = 0; i <= m->contexts; i++)
        if (d->cells[i] >= 0)
            observe(m, d->cells[i], came, MANY_OBSERVATIONS);
    observe(m, d->curve + d->far, came, FEW_OBSERVATIONS);
}

/* ---- entry points ---- */

/* Scores each symbol, then learns it, (count,). The network's probabilities are (count, symbols); the surprise is
 * written in nats, (count,). */
void onward_memory_read(Memory *m, int64_t count, const int64_t *symbols, const float *network, double *nats)
{
    uint32_t place[HEADER + RECENT];
    Decision decisions[MOST_CANDIDATES];
    onward_memory_place(m, place);
    for (int64_t t = 0; t < count; t++) {
        uint32_t symbol = (uint32_t)symbols[t];
        const float *chances = network + t * m->symbols;
        Evidence e;
        gather(m, place, &e);
        compare(m, &e, chances);
        int left[MOST_CONTEXTS], c = 0, came = 0;
        memcpy(left, e.totals, sizeof left);
        double remaining = 1.0;
        for (; c < decisions_of(m, &e) && remaining >= ENOUGH && !came; c++) {
            decide(m, &e, c, left, place[HEADER], decisions + c);
            came = e.symbols[c] == symbol;
            remaining *= came ? decisions[c].probability : 1.0 - decisions[c].probability;
        }
        if (!came)
            remaining *= chances[symbol] / (e.tails[c] > 1e-30 ? e.tails[c] : 1e-30);
        nats[t] = -log(remaining > 1e-300 ? remaining : 1e-300);
        begin_symbol(m);
        for (int made = 0; made < c; made++)
            learn(m, decisions + made, came && made == c - 1);
        set(m, LEARNED, m->words[LEARNED] + 1);
        append(m, place, e.hashes, symbol);
        end_symbol(m);
    }
}

/* Counts symbols, (count,), without a network. The mixer does not learn. */
void onward_memory_count(Memory *m, int64_t number, const int64_t *symbols)
{
    uint32_t place[HEADER + RECENT], hashes[MOST_CONTEXTS];
    onward_memory_place(m, place);
    for (int64_t t = 0; t < number; t++) {
        begin_symbol(m);
        hash_contexts(m, place, hashes);
        append(m, place, hashes, (uint32_t)symbols[t]);
        end_symbol(m);
    }
}

/* Replaces the network's probabilities (count, symbols) at places (count, HEADER + RECENT) by the mixed ones. */
void onward_memory_refine(const Memory *m, int64_t count, const uint32_t *places, float *probabilities)
{
    for (int64_t t = 0; t < count; t++) {
        const uint32_t *place = places + t * (HEADER + RECENT);
        float *chances = probabilities + t * m->symbols;
        Evidence e;
        Decision d;
        gather(m, place, &e);
        compare(m, &e, chances);
        int left[MOST_CONTEXTS], c = 0;
        memcpy(left, e.totals, sizeof left);
        double remaining = 1.0, found[MOST_CANDIDATES];
        for (; c < decisions_of(m, &e) && remaining >= ENOUGH; c++) {
            decide(m, &e, c, left, place[HEADER], &d);
            found[c] = remaining * d.probability;
            remaining *= 1.0 - d.probability;
        }
        float factor = (float)(remaining / (e.tails[c] > 1e-30 ? e.tails[c] : 1e-30));
        for (int64_t symbol = 0; symbol < m->symbols; symbol++)
            chances[symbol] *= factor;
        while (c--)
            chances[e.symbols[c]] = (float)found[c];
    }
}

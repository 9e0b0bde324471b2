/* A pool of POSIX threads.
 *
 * OpenMP's threads wait by spinning for milliseconds, which is longer than a step or a kernel. They would occupy cores
 * that other processes need, or the core on which a server answers its connections. So the helpers here sleep instead.
 * Helpers take parts one by one, so a helper that wakes late or loses its core delays only the part that it has begun.
 */

#include "team.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MOST_HELPERS = 64, SPINS = 2000 }; /* SPINS: iterations of busy waiting before the caller sleeps */

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER; /* held by the caller that uses the pool */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    int64_t helpers, wanted; /* existing helpers; helpers that the current call may use */
    void (*work)(void *, int64_t);
    void *argument;
    int64_t count;             /* number of parts */
    atomic_llong left, undone; /* parts not yet taken; parts not yet finished */
} team = {.lock = PTHREAD_MUTEX_INITIALIZER, .begin = PTHREAD_COND_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};

/* Works until no part is left. `work` and `argument` cannot change while a taken part is unfinished. */
static void take_parts(void)
{
    long long i = atomic_load(&team.left);
    while (i > 0) {
        if (!atomic_compare_exchange_weak(&team.left, &i, i - 1))
            continue;
        team.work(team.argument, team.count - i);
        if (atomic_fetch_sub(&team.undone, 1) == 1) {
            pthread_mutex_lock(&team.lock);
            pthread_cond_signal(&team.end);
            pthread_mutex_unlock(&team.lock);
        }
        i = atomic_load(&team.left);
    }
}

static void *run_helper(void *number)
{
    for (;;) {
        pthread_mutex_lock(&team.lock);
        while (atomic_load(&team.left) == 0 || (int64_t)(intptr_t)number >= team.wanted)
            pthread_cond_wait(&team.begin, &team.lock);
        pthread_mutex_unlock(&team.lock);
        take_parts();
    }
    return NULL;
}

/* Resets the pool in a forked process: threads do not survive a fork, and locks may be held. */
static void reset_after_fork(void)
{
    pthread_mutex_init(&in_use, NULL);
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.begin, NULL);
    pthread_cond_init(&team.end, NULL);
    team.helpers = 0;
    atomic_store(&team.left, 0);
}

/* Starts helpers that do not exist yet. If the system refuses a thread, there are fewer helpers. */
static void start_helpers(int64_t wanted)
{
    static int is_known = 0;
    if (!is_known)
        is_known = !pthread_atfork(NULL, NULL, reset_after_fork);
    for (; is_known && team.helpers < wanted; team.helpers++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_helper, (void *)(intptr_t)team.helpers))
            return;
        pthread_detach(thread);
    }
}

void share_out(void (*work)(void *, int64_t), void *argument, int64_t count, int64_t threads)
{
    int64_t wanted = (threads < count ? threads : count) - 1;
    if (wanted < 1 || pthread_mutex_trylock(&in_use)) {
        for (int64_t i = 0; i < count; i++)
            work(argument, i);
        return;
    }
    wanted = wanted < MOST_HELPERS ? wanted : MOST_HELPERS;
    start_helpers(wanted);
    pthread_mutex_lock(&team.lock);
    team.work = work, team.argument = argument, team.count = count, team.wanted = wanted;
    atomic_store(&team.undone, count);
    atomic_store(&team.left, count);
    pthread_cond_broadcast(&team.begin);
    pthread_mutex_unlock(&team.lock);
    take_parts();
    for (int i = 0; i < SPINS && atomic_load(&team.undone); i++)
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        ;
#endif
    pthread_mutex_lock(&team.lock);
    while (atomic_load(&team.undone))
        pthread_cond_wait(&team.end, &team.lock);
    pthread_mutex_unlock(&team.lock);
    pthread_mutex_unlock(&in_use);
}

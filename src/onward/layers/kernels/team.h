/* A pool of threads that help the calling thread, and sleep between calls. */

#ifndef ONWARD_TEAM_H
#define ONWARD_TEAM_H

#include <stdint.h>

/* Calls work(argument, i) for each i below count, on at most `threads` threads, and returns after the last call.
 * The calling thread works too. It works alone if the pool is in use or no thread can be started. */
void share_out(void (*work)(void *argument, int64_t i), void *argument, int64_t count, int64_t threads);

#endif

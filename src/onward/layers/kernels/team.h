/* A few threads that help the calling thread, and sleep in between. */

#ifndef ONWARD_TEAM_H
#define ONWARD_TEAM_H

#include <stdint.h>

/* Calls work(argument, i) for each i below count, in at most `threads` threads, and returns after the last call.
 * The calling thread works too. It does everything alone if the team is in use or no threads can be started. */
void share_out(void (*work)(void *argument, int64_t i), void *argument, int64_t count, int64_t threads);

#endif

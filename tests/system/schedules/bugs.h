/*
 * bugs.h - what the programs with a known bug share: two threads, and an end that tells.
 *
 * Each is right in the usual order of its threads.  In some other it ends with status 1, or never.
 */
#include <pthread.h>
#include <stdlib.h>

#define CHECK(is_right) ((is_right) ? (void)0 : exit(1))

static inline void run_both(void *(*first)(void *), void *(*second)(void *))
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, first, NULL);
	pthread_create(&threads[1], NULL, second, NULL);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

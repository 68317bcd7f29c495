/* Two philosophers, two forks, each takes its left one first. */
#include "bugs.h"

static pthread_mutex_t forks[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };

static void *eat(int left)
{
	pthread_mutex_lock(&forks[left]);
	pthread_mutex_lock(&forks[1 - left]);
	pthread_mutex_unlock(&forks[1 - left]);
	pthread_mutex_unlock(&forks[left]);
	return NULL;
}

static void *first(void *unused)
{
	(void)unused;
	return eat(0);
}

static void *second(void *unused)
{
	(void)unused;
	return eat(1);
}

int main(void)
{
	run_both(first, second);
	return 0;
}

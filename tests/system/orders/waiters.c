/* Two wait for one word and are woken one by one: each says its name before and after. */
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int word;

static void *wait_here(void *name)
{
	puts(name);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
	puts(name);
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, wait_here, "first");
	pthread_create(&threads[1], NULL, wait_here, "second");
	usleep(1000); /* both wait: the time comes when nobody can run */
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
	usleep(1000);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return 0;
}

/* Threads, forks and children of threads, for a machine that refuses one allocation: prints at its end. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int sum, refused;

static void refuse(int error)
{
	if (error != ENOMEM && error != EAGAIN)
		_exit(3);
	refused++;
}

static void *work(void *arg)
{
	char *area = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		refuse(errno);
		return NULL;
	}
	memset(area, (long)arg, 65536);
	pthread_mutex_lock(&mutex);
	sum += area[40000];
	pthread_mutex_unlock(&mutex);
	munmap(area, 65536);
	return arg;
}

static void *fork_here(void *arg)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(9);
	if (child < 0)
		refuse(errno);
	else if (waitpid(child, &status, 0) == child && status == 0x900)
		sum += 100;
	return NULL;
}

static int quiet(void *arg) { return 0; }

int main(void)
{
	static char stack[16384];
	pthread_t threads[3];
	int made[3], error;
	pid_t child;

	for (long i = 0; i < 3; i++) {
		error = pthread_create(&threads[i], NULL, i == 2 ? fork_here : work,
				       (void *)(i + 1));
		made[i] = !error;
		if (error)
			refuse(error);
	}
	for (int i = 0; i < 3; i++)
		if (made[i])
			pthread_join(threads[i], NULL);
	child = clone(quiet, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
	if (child < 0)
		refuse(errno);
	else
		waitpid(child, NULL, 0);
	printf("sum %d refused %d\n", sum, refused);
	return 0;
}

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int counter;

static void *work(void *arg)
{
	__atomic_add_fetch(&counter, *(int *)arg, __ATOMIC_SEQ_CST);
	return NULL;
}

int add(int a, int b)
{
	int sum = a + b;
	return sum;
}

int main(void)
{
	pthread_t thread;
	int five = 5;
	char *text = malloc(100);
	sprintf(text, "%d", add(2, 3));
	pthread_create(&thread, NULL, work, &five);
	pthread_join(thread, NULL);
	fflush(stdout);
	if (fork() == 0)
		_exit(3);
	int status;
	wait(&status);
	printf("%s %d %d\n", text, counter, WEXITSTATUS(status));
	free(text);
	return 0;
}

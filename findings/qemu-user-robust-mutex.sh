#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): a robust mutex is none: who waits for a dead owner waits on.
# Expected (pthread_mutexattr_setrobust(3): if the owner ended without unlocking it, the next
#   pthread_mutex_lock() returns EOWNERDEAD; pthread_mutex_init(3p) may refuse such a mutex with ENOTSUP).
# Seen: every call on the way succeeds; set_robust_list() is ENOSYS, which glibc 2.36 for x86-64 does not look at
#   (Linux has it since 2.6.17), and so no kernel learns which mutexes a thread held. A lock with a time limit
#   is ETIMEDOUT, after a thread of the same process too; without one it would wait for good.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, int error)
{
	printf("%s: %s\n", what, error ? strerrorname_np(error) : "0");
}

static pthread_mutex_t *robust(void)
{
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	int error;

	pthread_mutexattr_init(&a);
	error = pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	error = error ? error : pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	say("a robust mutex", error ? error : pthread_mutex_init(m, &a));
	return m;
}

static void lock(pthread_mutex_t *m)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 1;
	say("  timedlock", pthread_mutex_timedlock(m, &end));
	say("  consistent", pthread_mutex_consistent(m));
	say("  unlock", pthread_mutex_unlock(m));
}

static void *owner(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

int main(void)
{
	pthread_mutex_t *m = robust();
	pthread_t thread;
	void *list;
	size_t size;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (fork() == 0) {
		owner(m);
		_exit(0);
	}
	wait(NULL);
	puts(" its owner, a process, has ended");
	lock(m);
	m = robust();
	pthread_create(&thread, NULL, owner, m);
	pthread_join(thread, NULL);
	puts(" its owner, a thread, has ended");
	lock(m);
	say("get_robust_list", syscall(SYS_get_robust_list, 0, &list, &size) ? errno : 0);
}
C
gcc -static -o t t.c
expect "host" "$(./t)" \
"a robust mutex: 0
 its owner, a process, has ended
  timedlock: EOWNERDEAD
  consistent: 0
  unlock: 0
a robust mutex: 0
 its owner, a thread, has ended
  timedlock: EOWNERDEAD
  consistent: 0
  unlock: 0
get_robust_list: 0"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./t)" \
"a robust mutex: 0
 its owner, a process, has ended
  timedlock: ETIMEDOUT
  consistent: EINVAL
  unlock: EPERM
a robust mutex: 0
 its owner, a thread, has ended
  timedlock: ETIMEDOUT
  consistent: EINVAL
  unlock: EPERM
get_robust_list: ENOSYS"

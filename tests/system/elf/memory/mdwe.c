/* PR_SET_MDWE: who may no longer make memory executable; and PR_SET_THP_DISABLE's forms. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SET_MDWE 65
#define GET_MDWE 66
#define PAGE 4096

static long option(int number, long a, long b, long c, long d)
{
	long result = syscall(SYS_prctl, number, a, b, c, d);

	return result < 0 ? -errno : result;
}

static long made(void *at) { return at == MAP_FAILED ? -errno : 0; }

static void tries(const char *who)
{
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	int fd = memfd_create("f", 0);

	ftruncate(fd, PAGE);
	printf("%s: mdwe %ld\n", who, option(GET_MDWE, 0, 0, 0, 0));
	for (int prot = 0; prot < 8; prot++) {
		printf("mmap %d: %ld", prot, made(mmap(NULL, PAGE, prot, anonymous, -1, 0)));
		printf(" %ld", made(mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0)));
		for (int from = 0; from < 8; from++) {
			char *at = mmap(NULL, PAGE, from, anonymous, -1, 0);
			if (at != MAP_FAILED)
				printf(" %d", mprotect(at, PAGE, prot) ? errno : 0);
		}
		printf("\n");
	}
	int id = shmget(IPC_PRIVATE, PAGE, 0700);
	printf("shm %ld %ld\n", made(shmat(id, NULL, SHM_EXEC)),
	       made(shmat(id, NULL, SHM_EXEC | SHM_RDONLY)));
	shmctl(id, IPC_RMID, NULL);
	close(fd);
}

static void in_child(const char *who)
{
	int status;

	fflush(stdout);
	if (!fork()) {
		tries(who);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
}

static void arguments(void)
{
	for (long bits = 0; bits < 6; bits++)
		for (int extra = 0; extra < 2; extra++) {
			int status;

			fflush(stdout);
			if (!fork()) {
				printf("set %ld %d: %ld", bits, extra,
				       option(SET_MDWE, bits, extra, 0, 0));
				printf(" get %ld", option(GET_MDWE, 0, 0, 0, 0));
				printf(" again %ld %ld", option(SET_MDWE, 1, 0, 0, 0),
				       option(SET_MDWE, 0, 0, 0, 0));
				printf(" other %ld\n", option(SET_MDWE, 3, 0, 0, 0));
				fflush(stdout);
				_exit(0);
			}
			wait(&status);
		}
	printf("get with arguments %ld %ld\n", option(GET_MDWE, 1, 0, 0, 0),
	       option(GET_MDWE, 0, 0, 0, 1));
}

static void large_pages(void)
{
	for (long on = 0; on < 3; on++)
		for (long flags = 0; flags < 5; flags++) {
			printf("thp %ld %ld: %ld", on, flags, option(41, on, flags, 0, 0));
			printf(" get %ld\n", option(42, 0, 0, 0, 0));
		}
	printf("%ld %ld %ld\n", option(41, 1, 0, 1, 0), option(42, 1, 0, 0, 0),
	       option(42, 0, 0, 0, 1));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		tries(argv[1]);
		return 0;
	}
	arguments();
	large_pages();
	fflush(stdout);
	if (!fork()) {
		option(SET_MDWE, 3, 0, 0, 0);
		tries("not for children");
		in_child("its child");
		_exit(0);
	}
	wait(NULL);
	option(SET_MDWE, 1, 0, 0, 0);
	in_child("child");
	fflush(stdout);
	execl("/proc/self/exe", argv[0], "executed", NULL);
	return 1;
}

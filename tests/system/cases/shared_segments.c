// System V shared memory: ids, attachments that munmap has cut, limits, and what ipcs asks for.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define E(x) \
	({ \
		errno = 0; \
		(long)(x) == -1 ? strerrorname_np(errno) : "ok"; \
	})

static int id;

static void show(const char *what)
{
	struct shmid_ds d;
	shmctl(id, IPC_STAT, &d);
	printf("%s: attached %lu, last %s\n", what, d.shm_nattch,
	       !d.shm_lpid              ? "nobody"
	       : d.shm_lpid == getpid() ? "self"
					: "another");
}

static void cut(int page)
{
	char *at = shmat(id, 0, 0);
	munmap(at + page * PAGE, PAGE);
	show("cut");
	printf("shmdt of its second page %s, of its start %s\n", E(shmdt(at + PAGE)), E(shmdt(at)));
	show("detached");
}

int main(void)
{
	struct shminfo limits;
	struct shm_info totals;
	struct shmid_ds d;
	id = shmget(IPC_PRIVATE, 3 * PAGE, 0600 | IPC_CREAT);
	show("made");
	cut(0);
	cut(1);
	cut(2);
	int highest = shmctl(0, IPC_INFO, (void *)&limits);
	printf("IPC_INFO %d: %lu %lu %lu\n", highest >= 0, limits.shmmax, limits.shmmni,
	       limits.shmall);
	printf("SHM_INFO %d: %d\n", shmctl(0, SHM_INFO, (void *)&totals) == highest,
	       totals.used_ids > 0);
	printf("SHM_STAT %d %d\n", shmctl(id % 32768, SHM_STAT, &d) == id,
	       shmctl(id % 32768, SHM_STAT_ANY, &d) == id);
	printf("of none %s, of a negative one %s\n", E(shmctl(32700, SHM_STAT, &d)),
	       E(shmctl(-1, SHM_STAT, &d)));
	printf("unknown %s lock %s unlock %s\n", E(shmctl(id, 99, 0)), E(shmctl(id, SHM_LOCK, 0)),
	       E(shmctl(id, SHM_UNLOCK, 0)));
	fflush(stdout);
	if (!fork()) {
		setuid(1);
		printf("another user: stat %s any %d lock %s at %s rmid %s\n",
		       E(shmctl(id, IPC_STAT, &d)), shmctl(id % 32768, SHM_STAT_ANY, &d) == id,
		       E(shmctl(id, SHM_LOCK, 0)), E(shmat(id, 0, 0)), E(shmctl(id, IPC_RMID, 0)));
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	printf("gone %s\n", E(shmctl(id, IPC_RMID, 0)));
	int next = shmget(IPC_PRIVATE, PAGE, 0600);
	printf("the id is another's %d\n", next == id);
	return shmctl(next, IPC_RMID, 0);
}

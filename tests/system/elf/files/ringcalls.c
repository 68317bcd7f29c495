// io_uring: opcodes that newer kernels have, each with what it refuses: messages to other rings,
// splices, pipes, attributes, events of an epoll, children; timeouts that go on, and changes of polls,
// timeouts and what is called off; what a completion says of a socket.
#define _GNU_SOURCE
#include "../asleep.h"
#include "../newrings.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char memory[16][256];

static struct io_uring_sqe *flagged(struct io_uring_sqe *e, unsigned flags)
{
	e->rw_flags = (int)flags;
	return e;
}

static struct io_uring_sqe *slotted(struct io_uring_sqe *e, unsigned slot)
{
	e->file_index = slot;
	return e;
}

static void choose(struct io_uring_sqe *e)
{
	e->flags |= IOSQE_BUFFER_SELECT;
	e->buf_group = 3;
}

static void provide(struct ring *r, int first, int count)
{
	next(r, IORING_OP_PROVIDE_BUFFERS, count, memory[first], 256, (uint64_t)first, 90)
		->buf_group = 3;
	tell(r, "provided", 1, 1);
}

static void nops(struct ring *r)
{
	flagged(next(r, IORING_OP_NOP, -1, NULL, 77, 0, 1), 1);
	tell(r, "a result", 1, 1);
	flagged(next(r, IORING_OP_NOP, -1, NULL, (unsigned)-5, 0, 1), 1);
	tell(r, "an error", 1, 1);
	flagged(next(r, IORING_OP_NOP, 0, NULL, 0, 0, 2), 2);
	tell(r, "of a file", 1, 1);
	flagged(next(r, IORING_OP_NOP, 99, NULL, 0, 0, 3), 2);
	tell(r, "of none", 1, 1);
	flagged(next(r, IORING_OP_NOP, 5, NULL, 0, 0, 4), 6);
	tell(r, "of a slot", 1, 1);
	flagged(next(r, IORING_OP_NOP, 5, NULL, 0, 0, 5), 8);
	tell(r, "of a buffer", 1, 1);
	flagged(next(r, IORING_OP_NOP, 0, NULL, 0, 0, 6), 1 << 20);
	tell(r, "wrong flag", 1, 1);
}

static void to_rings(struct ring *r)
{
	struct ring other, off;
	struct rsrc_register table = { .nr = 4, .flags = 1 };
	int fds[2] = { 0, -1 };

	open_ring(&other, 0);
	open_ring(&off, IORING_SETUP_R_DISABLED);
	next(r, IORING_OP_MSG_RING, other.fd, NULL, 11, 12, 1);
	tell(r, "message", 1, 1);
	tell(&other, "got", 0, 0);
	slotted(flagged(next(r, IORING_OP_MSG_RING, other.fd, NULL, (unsigned)-7, 13, 2), 2), 0x30);
	tell(r, "with flags", 1, 1);
	tell(&other, "got", 0, 0);
	slotted(next(r, IORING_OP_MSG_RING, other.fd, NULL, 1, 1, 3), 5);
	tell(r, "flags that are not passed", 1, 1);
	flagged(next(r, IORING_OP_MSG_RING, other.fd, NULL, 1, 1, 4), 1);
	tell(r, "not told", 1, 1);
	flagged(next(r, IORING_OP_MSG_RING, other.fd, NULL, 1, 1, 5), 4);
	tell(r, "wrong flag", 1, 1);
	next(r, IORING_OP_MSG_RING, other.fd, (void *)2, 1, 1, 6);
	tell(r, "wrong command", 1, 1);
	next(r, IORING_OP_MSG_RING, 0, NULL, 1, 1, 7);
	tell(r, "no ring", 1, 1);
	next(r, IORING_OP_MSG_RING, off.fd, NULL, 1, 1, 8);
	tell(r, "not enabled", 1, 1);
	next(r, IORING_OP_MSG_RING, r->fd, NULL, 1, 21, 9);
	tell(r, "to itself", 1, 2);
	reg(r, IORING_REGISTER_FILES, fds, 2);
	next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 31, 10);
	tell(r, "a file to no slots", 1, 1);
	reg(&other, IORING_REGISTER_FILES2, &table, sizeof(table));
	slotted(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 32, 11), ANY_SLOT);
	tell(r, "a file to any", 1, 1);
	tell(&other, "got", 0, 0);
	slotted(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 33, 12), 3);
	tell(r, "a file to the third", 1, 1);
	tell(&other, "got", 0, 0);
	slotted(flagged(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 34, 13), 1), ANY_SLOT);
	tell(r, "a file, not told", 1, 1);
	tell(&other, "got", 0, 0);
	slotted(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 5, 0, 14), ANY_SLOT);
	tell(r, "with a length", 1, 1);
	slotted(next(r, IORING_OP_MSG_RING, r->fd, (void *)1, 0, 0, 15), ANY_SLOT);
	tell(r, "to itself", 1, 1);
	slotted(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 0, 16), ANY_SLOT)->addr3 = 1;
	tell(r, "an empty slot", 1, 1);
	slotted(next(r, IORING_OP_MSG_RING, other.fd, (void *)1, 0, 0, 17), 9);
	tell(r, "outside", 1, 1);
	printf("unregister %ld\n", reg(r, IORING_UNREGISTER_FILES, NULL, 0));
	close(other.fd);
	close(off.fd);
}

static void pipes(struct ring *r, const char *folder)
{
	char path[200];
	int p[2], q[2], f[2] = { 7, 7 };
	struct rsrc_register table = { .nr = 6, .flags = 1 };

	snprintf(path, sizeof(path), "%s/spliced", folder);
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (pipe(p) || pipe(q) || write(p[1], "0123456789", 10) != 10)
		return;
	slotted(next(r, IORING_OP_TEE, q[1], NULL, 4, 0, 1), p[0]);
	tell(r, "tee", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, file, (void *)-1, 4, (uint64_t)-1, 2), p[0]);
	tell(r, "to a file", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, file, (void *)-1, 100, 100, 3), p[0]);
	tell(r, "to an offset", 1, 1);
	printf("at %ld of %ld\n", (long)lseek(file, 0, SEEK_CUR), (long)lseek(file, 0, SEEK_END));
	lseek(file, 1, SEEK_SET);
	slotted(next(r, IORING_OP_SPLICE, q[1], (void *)102, 4, (uint64_t)-1, 4), file);
	tell(r, "from an offset", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, q[1], (void *)-1, 2, (uint64_t)-1, 5), file);
	tell(r, "from where it is", 1, 1);
	printf("at %ld: %ld %.10s\n", (long)lseek(file, 0, SEEK_CUR),
	       (long)read(q[0], memory[0], 20), memory[0]);
	slotted(next(r, IORING_OP_SPLICE, q[1], (void *)0, 4, (uint64_t)-1, 6), p[0]);
	tell(r, "a pipe has no offset", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, q[1], (void *)-1, 0, (uint64_t)-1, 7), p[0]);
	tell(r, "nothing", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, q[1], (void *)-1, 4, (uint64_t)-1, 8), 99);
	tell(r, "from none", 1, 1);
	slotted(flagged(next(r, IORING_OP_SPLICE, q[1], (void *)-1, 4, (uint64_t)-1, 9), 64), p[0]);
	tell(r, "wrong flag", 1, 1);
	slotted(flagged(next(r, IORING_OP_SPLICE, q[1], (void *)-1, 4, (uint64_t)-1, 10), 1u << 31),
		2);
	tell(r, "from an empty slot", 1, 1);
	slotted(next(r, IORING_OP_SPLICE, file, (void *)-1, 4, (uint64_t)-1, 11), file);
	tell(r, "no pipe", 1, 1);
	reg(r, IORING_REGISTER_FILES2, &table, sizeof(table));
	next(r, OP_PIPE, 0, f, 0, 0, 1);
	tell(r, "a pipe", 1, 1);
	printf("%d\n", f[1] - f[0]);
	close(f[0]);
	close(f[1]);
	slotted(next(r, OP_PIPE, 0, f, 0, 0, 2), 3);
	tell(r, "in the third slot", 1, 1);
	printf("%d %d\n", f[0], f[1]);
	slotted(next(r, OP_PIPE, 0, f, 0, 0, 3), ANY_SLOT);
	tell(r, "in any", 1, 1);
	printf("%d %d\n", f[0], f[1]);
	slotted(next(r, OP_PIPE, 0, f, 0, 0, 4), 6);
	tell(r, "one too few", 1, 1);
	slotted(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 5), 6);
	tell(r, "nothing is there", 1, 1);
	slotted(next(r, OP_PIPE, 0, (void *)8, 0, 0, 6), 1);
	tell(r, "wrong address", 1, 1);
	slotted(flagged(next(r, OP_PIPE, 0, f, 0, 0, 7), O_CLOEXEC), 1);
	tell(r, "cloexec", 1, 1);
	flagged(next(r, OP_PIPE, 0, f, 0, 0, 8), O_APPEND);
	tell(r, "wrong flag", 1, 1);
	next(r, OP_PIPE, 1, f, 0, 0, 9);
	tell(r, "wrong field", 1, 1);
	reg(r, IORING_UNREGISTER_FILES, NULL, 0);
	unlink(path);
	int all[] = { file, p[0], p[1], q[0], q[1] };
	for (int i = 0; i < 5; i++)
		close(all[i]);
}

static void attributes(struct ring *r, const char *folder)
{
	char path[200], value[20] = { 0 };

	snprintf(path, sizeof(path), "%s/attributed", folder);
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	next(r, IORING_OP_SETXATTR, 0, "user.one", 3, (uintptr_t)"abc", 1)->addr3 = (uintptr_t)path;
	tell(r, "set", 1, 1);
	next(r, IORING_OP_FSETXATTR, file, "user.two", 2, (uintptr_t)"de", 2);
	tell(r, "set by descriptor", 1, 1);
	flagged(next(r, IORING_OP_FSETXATTR, file, "user.two", 2, (uintptr_t)"de", 3), 1);
	tell(r, "there is one", 1, 1);
	next(r, IORING_OP_GETXATTR, 0, "user.two", 20, (uintptr_t)value, 4)->addr3 =
		(uintptr_t)path;
	tell(r, "get", 1, 1);
	printf("%s\n", value);
	next(r, IORING_OP_FGETXATTR, file, "user.one", 20, (uintptr_t)value, 5);
	tell(r, "get by descriptor", 1, 1);
	printf("%s\n", value);
	next(r, IORING_OP_FGETXATTR, file, "user.none", 20, (uintptr_t)value, 6);
	tell(r, "none", 1, 1);
	flagged(next(r, IORING_OP_FGETXATTR, file, "user.one", 20, (uintptr_t)value, 7), 1);
	tell(r, "wrong flag", 1, 1);
	next(r, IORING_OP_GETXATTR, 0, "user.one", 20, (uintptr_t)value, 8)->flags =
		IOSQE_FIXED_FILE;
	tell(r, "of a slot", 1, 1);
	close(file);
	unlink(path);
}

static void events(struct ring *r)
{
	struct epoll_event found[2], event = { EPOLLIN, { .u64 = 42 } };
	int epoll = epoll_create1(0), p[2];

	if (pipe(p))
		return;
	epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event);
	next(r, OP_EPOLL_WAIT, epoll, found, 2, 0, 1);
	printf("waits %ld\n", enter(r, 1, 0, 0));
	tell(r, "nothing", 0, 0);
	if (write(p[1], "x", 1) != 1)
		return;
	tell(r, "an event", 0, 1);
	printf("%llu\n", (unsigned long long)found[0].data.u64);
	next(r, OP_EPOLL_WAIT, epoll, found, 0, 0, 2);
	tell(r, "room for none", 1, 1);
	next(r, OP_EPOLL_WAIT, p[0], found, 2, 0, 3);
	tell(r, "no epoll", 1, 1);
	next(r, OP_EPOLL_WAIT, epoll, found, 2, 5, 4);
	tell(r, "wrong field", 1, 1);
	close(epoll);
	close(p[0]);
	close(p[1]);
}

static void children(struct ring *r)
{
	siginfo_t info;

	memset(&info, 0x55, sizeof(info));
	next(r, OP_WAITID, 0, NULL, P_ALL, (uintptr_t)&info, 1)->file_index = WEXITED;
	tell(r, "no child", 1, 1);
	pid_t child = fork();
	if (!child) {
		until_state(getppid(), 'S');
		_exit(3);
	}
	next(r, OP_WAITID, child, NULL, P_PID, (uintptr_t)&info, 2)->file_index = WEXITED;
	tell(r, "a child", 1, 1);
	printf("%d %d %d %d\n", info.si_signo, info.si_code, info.si_pid == child, info.si_status);
	next(r, OP_WAITID, 0, NULL, P_ALL, (uintptr_t)&info, 3);
	tell(r, "no options", 1, 1);
	next(r, OP_WAITID, 0, (void *)8, P_ALL, (uintptr_t)&info, 4)->file_index = WEXITED;
	tell(r, "wrong field", 1, 1);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	next(r, OP_WAITID, 0, NULL, P_ALL, (uintptr_t)&info, 5)->file_index = WEXITED;
	enter(r, 1, 0, 0);
	next(r, IORING_OP_ASYNC_CANCEL, 0, (void *)5, 0, 0, 6);
	run(r, "called off", 1, 2);
	next(r, OP_WAITID, 0, NULL, P_ALL, (uintptr_t)&info, 7)->file_index = WEXITED | WNOHANG;
	tell(r, "at once", 1, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void timeouts(struct ring *r)
{
	struct __kernel_timespec soon = { 0, 2000000 }, late = { 1000, 0 };

	flagged(next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 3, 1), 64);
	printf("submitted %ld\n", enter(r, 1, 0, 0));
	printf("a timeout ends a wait: %ld\n", enter(r, 0, 5, IORING_ENTER_GETEVENTS));
	for (int more = 2; more & 2;) {
		struct ended end = take(r, 0);
		printf("round %d/%x\n", end.res, more = end.flags);
	}
	flagged(next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 2), 64);
	for (int i = 0; i < 4; i++) {
		struct ended end = take(r, !i);
		printf("for ever %d/%x\n", end.res, end.flags);
	}
	next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)2, 0, 0, 3);
	for (int ends = 0; ends < 2;) {
		struct ended end = take(r, !ends);
		ends += end.data == 3 || end.res == -125;
		if (end.res != -62)
			printf("called off %d=%d\n", (int)end.data, end.res);
	}
	flagged(next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 4), 65);
	tell(r, "of a time, and many", 1, 1);
	flagged(next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 5), 4 | 8);
	tell(r, "of two clocks", 1, 1);
	flagged(next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 6), 32)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 7);
	tell(r, "a success", 2, 2);
	next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 8)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 9);
	tell(r, "no success", 2, 2);
	next(r, IORING_OP_TIMEOUT, -1, &late, 1, 0, 10);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)10, 0, (uintptr_t)&soon, 11), 2);
	tell(r, "sooner", 2, 2);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)10, 0, (uintptr_t)&soon, 12), 2);
	tell(r, "of none", 1, 1);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)10, 0, 8, 13), 2);
	tell(r, "no time", 1, 1);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)10, 0, 0, 14), 64);
	tell(r, "wrong flag", 1, 1);
	int p[2];
	if (pipe(p))
		return;
	next(r, IORING_OP_READ, p[0], memory[0], 1, 0, 15)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_LINK_TIMEOUT, -1, &late, 1, 0, 16);
	enter(r, 2, 0, 0);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)16, 0, (uintptr_t)&soon, 17), 16);
	run(r, "of a link, one", 1, 1);
	flagged(next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)16, 0, (uintptr_t)&soon, 18), 18);
	run(r, "of a link", 1, 3);
	close(p[0]);
	close(p[1]);
}

static void polls(struct ring *r)
{
	int p[2];

	if (pipe(p))
		return;
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 1)->poll32_events = POLLPRI;
	enter(r, 1, 0, 0);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)1, 4, 2, 10);
	tell(r, "another name", 1, 1);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)1, 4, 2, 11);
	tell(r, "not there", 1, 1);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)2, 2, 0, 12)->poll32_events = POLLIN;
	tell(r, "other events", 1, 1);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)2, 1, 0, 13);
	tell(r, "wrong flags", 1, 1);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)2, 0, 7, 14);
	tell(r, "wrong field", 1, 1);
	if (write(p[1], "x", 1) != 1)
		return;
	tell(r, "ready", 0, 1);
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 3)->poll32_events = POLLPRI;
	enter(r, 1, 0, 0);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)3, 2, 0, 15)->poll32_events = POLLIN;
	run(r, "ready at once", 1, 2);
	close(p[0]);
	close(p[1]);
}

static void cancelling(struct ring *r)
{
	int p[2], q[2];

	if (pipe(p) || pipe(q) || reg(r, IORING_REGISTER_FILES, q, 2))
		return;
	next(r, IORING_OP_READ, p[0], memory[0], 1, 0, 1);
	next(r, IORING_OP_READ, 0, memory[0], 1, 0, 2)->flags = IOSQE_FIXED_FILE;
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 3)->poll32_events = POLLIN;
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 4)->poll32_events = POLLIN;
	enter(r, 4, 0, 0);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, 0, NULL, 0, 0, 10), 2 | 8);
	run(r, "by a slot", 1, 2);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, 1, NULL, 0, 0, 11), 2 | 8);
	run(r, "by another", 1, 1);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, 0, (void *)4, IORING_OP_POLL_ADD, 0, 12), 16 | 32);
	run(r, "by opcode and name", 1, 2);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, p[0], NULL, IORING_OP_READ, 0, 13), 1 | 2 | 32);
	run(r, "by opcode and file, all", 1, 2);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, p[0], NULL, IORING_OP_READ, 0, 14), 32);
	run(r, "by opcode", 1, 1);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, p[0], NULL, 0, 0, 15), 4 | 2);
	run(r, "any of a file", 1, 1);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, 99, NULL, 0, 0, 16), 2);
	run(r, "of no file", 1, 1);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, 99, NULL, 0, 0, 17), 64);
	run(r, "wrong flag", 1, 1);
	flagged(next(r, IORING_OP_ASYNC_CANCEL, p[0], NULL, 0, 0, 18), 2);
	run(r, "of a file", 1, 2);
	reg(r, IORING_UNREGISTER_FILES, NULL, 0);
	int all[] = { p[0], p[1], q[0], q[1] };
	for (int i = 0; i < 4; i++)
		close(all[i]);
}

static void reads(struct ring *r, const char *folder)
{
	int p[2];
	struct iovec v[2] = { { NULL, 4 }, { NULL, 4 } };

	if (pipe(p))
		return;
	provide(r, 0, 6);
	next(r, OP_READ_MULTISHOT, p[0], NULL, 0, (uint64_t)-1, 1);
	tell(r, "no buffer", 1, 1);
	choose(next(r, OP_READ_MULTISHOT, p[0], NULL, 5, (uint64_t)-1, 2));
	tell(r, "a length", 1, 1);
	choose(next(r, OP_READ_MULTISHOT, p[0], NULL, 0, (uint64_t)-1, 3));
	enter(r, 1, 0, 0);
	for (int i = 0; i < 2; i++) {
		if (write(p[1], "abc", 3) != 3)
			return;
		tell(r, "some", 0, 1);
	}
	int folder_fd = open(folder, O_RDONLY);
	choose(next(r, OP_READ_MULTISHOT, folder_fd, NULL, 0, (uint64_t)-1, 4));
	tell(r, "of a folder", 1, 1);
	close(p[1]);
	tell(r, "its end", 0, 1);
	close(p[0]);
	if (pipe(p) || write(p[1], "0123456789", 10) != 10)
		return;
	choose(next(r, IORING_OP_READV, p[0], v, 1, (uint64_t)-1, 5));
	tell(r, "readv", 1, 1);
	choose(next(r, IORING_OP_READV, p[0], v, 2, (uint64_t)-1, 6));
	tell(r, "of two", 1, 1);
	v[0].iov_len = 0;
	choose(next(r, IORING_OP_READV, p[0], v, 1, (uint64_t)-1, 7));
	tell(r, "all of it", 1, 1);
	close(p[0]);
	close(p[1]);
	close(folder_fd);
	next(r, IORING_OP_REMOVE_BUFFERS, 10, NULL, 0, 0, 8)->buf_group = 3;
	tell(r, "left", 1, 1);
}

struct packed {
	uint32_t name, control, data, flags;
};

/* A message of many, whose name may have so many bytes. */
static void tell_room(struct ring *r, int fd, struct msghdr *m, unsigned name_bytes, uint64_t id)
{
	m->msg_namelen = name_bytes;
	struct io_uring_sqe *e = next(r, IORING_OP_RECVMSG, fd, m, 1, 0, id);
	choose(e);
	e->ioprio = IORING_RECV_MULTISHOT;
	tell(r, "room", 1, 1);
}

static void messages(struct ring *r)
{
	int p[2], file = 0;
	struct iovec v = { "a message", 9 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, p))
		return;
	provide(r, 0, 6);
	sendmsg(p[0], &m, 0);
	v.iov_len = 5;
	choose(next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 1));
	tell(r, "part of a message", 1, 1);
	printf("%.9s flags %x\n", memory[0], m.msg_flags);
	v.iov_len = 9;
	sendmsg(p[0], &m, 0);
	m.msg_iovlen = 0;
	choose(next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 2));
	tell(r, "all of one", 1, 1);
	printf("%.9s\n", memory[1]);
	m.msg_iovlen = 2;
	choose(next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 3));
	tell(r, "two vectors", 1, 1);
	m.msg_iovlen = 0;
	m.msg_controllen = sizeof(control);
	m.msg_namelen = 10;
	m.msg_name = memory[15];
	struct io_uring_sqe *e = next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 4);
	choose(e);
	e->ioprio = IORING_RECV_MULTISHOT;
	enter(r, 1, 0, 0);
	struct msghdr out = { .msg_iov = &v,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&out);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &file, sizeof(int));
	sendmsg(p[0], &out, 0);
	tell(r, "with a file", 0, 1);
	struct packed *found = (void *)memory[2];
	printf("%u %u %u %x %.9s\n", found->name, found->control, found->data, found->flags,
	       memory[2] + sizeof(*found) + 10 + sizeof(control));
	char big[300] = "big";
	v.iov_base = big;
	v.iov_len = sizeof(big);
	out.msg_control = NULL;
	out.msg_controllen = 0;
	sendmsg(p[0], &out, 0);
	tell(r, "cut off", 0, 1);
	found = (void *)memory[3];
	printf("%u %u %u %x\n", found->name, found->control, found->data, found->flags);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)4, 0, 0, 5);
	run(r, "called off", 1, 2);
	m.msg_controllen = 250;
	e = next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 6);
	choose(e);
	e->ioprio = IORING_RECV_MULTISHOT;
	tell(r, "no room", 1, 1);
	m.msg_name = NULL; /* its length is room all the same */
	tell_room(r, p[1], &m, 250, 10);
	tell_room(r, p[1], &m, ~0u >> 1, 10);
	tell_room(r, p[1], &m, 1u << 31, 11);
	m.msg_namelen = 10;
	e = next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 7);
	e->ioprio = IORING_RECV_MULTISHOT;
	tell(r, "no buffers", 1, 1);
	choose(next(r, IORING_OP_SEND, p[0], NULL, 4, 0, 8));
	tell(r, "sent from one", 1, 1);
	printf("%ld %.4s\n", (long)recv(p[1], memory[15], 100, MSG_DONTWAIT), memory[15]);
	next(r, IORING_OP_REMOVE_BUFFERS, 10, NULL, 0, 0, 9)->buf_group = 3;
	tell(r, "left", 1, 1);
	close(p[0]);
	close(p[1]);
}

static int connected(int *server, int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, type, 0), client = socket(AF_INET, type, 0);

	bind(listener, (struct sockaddr *)&at, sizeof(at));
	listen(listener, 5);
	getsockname(listener, (struct sockaddr *)&at, &length);
	connect(client, (struct sockaddr *)&at, length);
	*server = listener;
	if (type == SOCK_STREAM) {
		*server = accept(listener, NULL, NULL);
		close(listener);
	}
	return client;
}

static void streams(struct ring *r, int a, int b)
{
	char data[20];

	send(a, "0123456789", 10, 0);
	usleep(2000);
	next(r, IORING_OP_RECV, b, data, 4, 0, 1);
	tell(r, "some of it", 1, 1);
	next(r, IORING_OP_RECV, b, data, 6, 0, 2);
	tell(r, "all of it", 1, 1);
	next(r, IORING_OP_RECV, b, data, 6, 0, 3)->msg_flags = MSG_DONTWAIT;
	tell(r, "nothing", 1, 1);
	send(a, "abc", 3, 0);
	usleep(2000);
	next(r, IORING_OP_RECV, b, data, 20, 0, 4)->msg_flags = MSG_PEEK;
	tell(r, "a look", 1, 1);
	struct iovec v = { data, 2 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	next(r, IORING_OP_RECVMSG, b, &m, 1, 0, 5);
	tell(r, "a message of it", 1, 1);
	shutdown(a, SHUT_WR);
	usleep(2000);
	next(r, IORING_OP_RECV, b, data, 20, 0, 6);
	tell(r, "before the end", 1, 1);
	next(r, IORING_OP_RECV, b, data, 20, 0, 7);
	tell(r, "the end", 1, 1);
	close(b);
	usleep(2000);
	next(r, IORING_OP_SEND, a, data, 2, 0, 8);
	tell(r, "to nobody", 1, 1);
	close(a);
}

static void zero_copy(struct ring *r)
{
	int p[2], server, client = connected(&server, SOCK_STREAM);
	char data[20];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p))
		return;
	next(r, IORING_OP_SEND_ZC, client, "hello", 5, 0, 1);
	tell(r, "sent", 1, 2);
	struct io_uring_sqe *e = next(r, IORING_OP_SEND_ZC, client, "hello", 5, 0, 2);
	e->ioprio = 8;
	tell(r, "with a report", 1, 2);
	next(r, IORING_OP_SEND_ZC, p[0], "hello", 5, 0, 3);
	tell(r, "AF_UNIX", 1, 2);
	next(r, IORING_OP_SEND_ZC, 0, "hello", 5, 0, 4);
	tell(r, "no socket", 1, 2);
	next(r, IORING_OP_SEND_ZC, client, "hello", 5, 0, 5)->ioprio = 64;
	tell(r, "wrong flag", 1, 1);
	next(r, IORING_OP_SEND_ZC, client, "hello", 5, 0, 6)->ioprio = 4;
	tell(r, "no buffer", 1, 2);
	next(r, IORING_OP_SEND_ZC, client, "hello", 5, 0, 7)->flags = IOSQE_CQE_SKIP_SUCCESS;
	tell(r, "not told", 1, 1);
	struct iovec v = { "message", 7 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	next(r, IORING_OP_SENDMSG_ZC, client, &m, 1, 0, 8);
	tell(r, "a message", 1, 2);
	printf("%ld\n", (long)recv(server, data, 20, 0));
	close(client);
	close(server);
	close(p[0]);
	close(p[1]);
}

static void listening(struct ring *r)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), clients[3];

	bind(listener, (struct sockaddr *)&at, sizeof(at));
	listen(listener, 5);
	getsockname(listener, (struct sockaddr *)&at, &length);
	next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 1)->ioprio = 2;
	tell(r, "nobody", 1, 1);
	for (int i = 0; i < 3; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		connect(clients[i], (struct sockaddr *)&at, length);
	}
	struct rsrc_register table = { .nr = 6, .flags = 1 };
	reg(r, IORING_REGISTER_FILES2, &table, sizeof(table));
	slotted(next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 2), ANY_SLOT);
	tell(r, "others wait", 1, 1);
	struct io_uring_sqe *e =
		slotted(next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 3), ANY_SLOT);
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	tell(r, "all of them", 1, 2);
	next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 4)->ioprio = 64;
	tell(r, "wrong flag", 1, 1);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)3, 0, 0, 5);
	run(r, "called off", 1, 2);
	reg(r, IORING_UNREGISTER_FILES, NULL, 0);
	close(listener);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
}

/* What a read or a write asks of its file beside its place. */
static void asked(struct ring *r)
{
	static const unsigned flags[] = { 1, 2, 8, 16, 32, 48, 64, 128, 256, 512 };
	int p[2], file = memfd_create("asked", 0);

	pipe(p);
	write(p[1], "0123456789", 10);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		pwrite(file, "0123456789", 10, 0);
		flagged(next(r, IORING_OP_WRITE, file, "abc", 3, 2, i), flags[i]);
		tell(r, "written", 1, 1);
		flagged(next(r, IORING_OP_READ, file, memory[0], 4, 0, i), flags[i]);
		tell(r, "read", 1, 1);
		flagged(next(r, IORING_OP_READ, p[0], memory[0], 1, 0, i), flags[i]);
		tell(r, "of a pipe", 1, 1);
		printf("%ld bytes\n", (long)lseek(file, 0, SEEK_END));
		ftruncate(file, 0);
	}
	while (read(p[0], memory[0], 1) > 0 && memory[0][0] != '9')
		;
	flagged(next(r, IORING_OP_READ, p[0], memory[0], 1, 0, 20), 8);
	tell(r, "nothing there", 1, 1);
	close(file);
	close(p[0]);
	close(p[1]);
}

int main(int argc, char **argv)
{
	struct ring r;
	int server, p[2];
	const char *folder = argc > 1 ? argv[1] : "/tmp";

	setvbuf(stdout, NULL, _IONBF, 0);
	open_ring(&r, 0);
	nops(&r);
	to_rings(&r);
	pipes(&r, folder);
	attributes(&r, folder);
	events(&r);
	children(&r);
	timeouts(&r);
	polls(&r);
	cancelling(&r);
	reads(&r, folder);
	messages(&r);
	int client = connected(&server, SOCK_STREAM);
	streams(&r, client, server);
	if (!socketpair(AF_UNIX, SOCK_STREAM, 0, p))
		streams(&r, p[0], p[1]);
	zero_copy(&r);
	asked(&r);
	listening(&r);
	return 0;
}

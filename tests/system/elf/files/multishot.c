// io_uring: requests that go on (poll, accept, recv), buffers that are provided, by the piece and in
// rings, files that are put in place of others, a ring that is asked to close itself or another.
#define _GNU_SOURCE
#include "../ownuser.h"
#include "../rings.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char memory[16][64];

// Take all completions that are there, and print them in their order, with their flags.
static void tell(struct ring *r, const char *what)
{
	uint32_t *head = word(r->cqs, r->p.cq_off.head), *tail = word(r->cqs, r->p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes);

	printf("%s:", what);
	while (*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
		struct io_uring_cqe *c = &cqes[*head & (r->p.cq_entries - 1)];
		printf(" %llu=%d/%x", (unsigned long long)c->user_data, c->res, c->flags);
		if (c->flags & IORING_CQE_F_BUFFER && c->res > 0)
			printf("[%.*s]", c->res, memory[c->flags >> IORING_CQE_BUFFER_SHIFT & 15]);
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
	printf("\n");
	fflush(stdout);
}

static void go(struct ring *r, const char *what, unsigned submit, unsigned wait)
{
	long taken = enter(r, submit, wait, IORING_ENTER_GETEVENTS);

	if (taken != submit)
		printf("(%ld taken) ", taken);
	tell(r, what);
}

static void provide(struct ring *r, int group, int first, int count)
{
	struct io_uring_sqe *e =
		next(r, IORING_OP_PROVIDE_BUFFERS, count, memory[first], 64, (uint64_t)first, 90);

	e->buf_group = (uint16_t)group;
}

static void choose(struct io_uring_sqe *e, int group)
{
	e->flags |= IOSQE_BUFFER_SELECT;
	e->buf_group = (uint16_t)group;
}

static void pieces(struct ring *r)
{
	int ends[2];
	struct io_uring_sqe *e;

	pipe(ends);
	provide(r, 3, 0, 2);
	go(r, "two buffers", 1, 1);
	write(ends[1], "abcdef", 6);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 4, 0, 1), 3);
	go(r, "read into one", 1, 1);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 0, 0, 2), 3);
	go(r, "read what there is", 1, 1);
	write(ends[1], "xy", 2);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 4, 0, 3), 3);
	go(r, "none is left", 1, 1);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 4, 0, 4), 77);
	go(r, "no such group", 1, 1);
	provide(r, 3, 4, 3);
	go(r, "three more", 1, 1);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 64, 0, 5), 3);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 64, 0, 6), 3);
	go(r, "one reads, one waits", 2, 1);
	write(ends[1], "late", 4);
	go(r, "it has come", 0, 1);
	e = next(r, IORING_OP_REMOVE_BUFFERS, 9, NULL, 0, 0, 7);
	e->buf_group = 3;
	go(r, "what is left goes", 1, 1);
	e = next(r, IORING_OP_REMOVE_BUFFERS, 9, NULL, 0, 0, 8);
	e->buf_group = 5;
	go(r, "from no group", 1, 1);
	next(r, IORING_OP_REMOVE_BUFFERS, 0, NULL, 0, 0, 9);
	go(r, "none of them", 1, 1);
	next(r, IORING_OP_PROVIDE_BUFFERS, 0, memory, 64, 0, 10);
	go(r, "provide nothing", 1, 1);
	next(r, IORING_OP_PROVIDE_BUFFERS, 1, memory, 0, 0, 11);
	go(r, "provide no bytes", 1, 1);
	next(r, IORING_OP_PROVIDE_BUFFERS, 70000, memory, 64, 0, 12);
	go(r, "provide too many", 1, 1);
	next(r, IORING_OP_PROVIDE_BUFFERS, 2, memory, 64, 65535, 13);
	go(r, "numbers run over", 1, 1);
	next(r, IORING_OP_PROVIDE_BUFFERS, 2, (void *)-4096, 64, 0, 14);
	go(r, "the kernel's memory", 1, 1);
	choose(next(r, IORING_OP_NOP, -1, NULL, 0, 0, 15), 3);
	go(r, "no buffer is needed", 1, 1);
	choose(next(r, IORING_OP_FSYNC, ends[0], NULL, 0, 0, 16), 3);
	go(r, "nor here", 1, 1);
	close(ends[1]);
	provide(r, 3, 8, 1);
	go(r, "one more", 1, 1);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 4, 0, 17), 3);
	go(r, "the end of a pipe", 1, 1);
	close(ends[0]);
}

static struct io_uring_buf_ring *buffer_ring;

static void offer(int number, unsigned bytes)
{
	struct io_uring_buf *b = &buffer_ring->bufs[buffer_ring->tail & 3];

	b->addr = (uintptr_t)memory[number];
	b->len = bytes;
	b->bid = (uint16_t)number;
	__atomic_store_n(&buffer_ring->tail, (uint16_t)(buffer_ring->tail + 1), __ATOMIC_RELEASE);
}

static long register_ring(struct ring *r, void *at, unsigned entries, unsigned flags, unsigned nr)
{
	struct io_uring_buf_reg arg = { (uintptr_t)at, entries, 6, (uint16_t)flags };

	return reg(r, IORING_REGISTER_PBUF_RING, &arg, nr);
}

static void in_a_ring(struct ring *r)
{
	int ends[2];
	struct io_uring_buf_reg arg = { .bgid = 6 };

	buffer_ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("three entries %ld\n", register_ring(r, buffer_ring, 3, 0, 1));
	printf("none %ld\n", register_ring(r, buffer_ring, 0, 0, 1));
	printf("too many %ld\n", register_ring(r, buffer_ring, 65536, 0, 1));
	printf("not at a page %ld\n", register_ring(r, (char *)buffer_ring + 64, 4, 0, 1));
	printf("nowhere %ld\n", register_ring(r, NULL, 4, 0, 1));
	printf("an unknown flag %ld\n", register_ring(r, buffer_ring, 4, 0x8000, 1));
	printf("two of them %ld\n", register_ring(r, buffer_ring, 4, 0, 2));
	printf("a ring of buffers %ld\n", register_ring(r, buffer_ring, 4, 0, 1));
	printf("again %ld\n", register_ring(r, buffer_ring, 4, 0, 1));
	pipe(ends);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 0, 0, 20), 6);
	go(r, "nothing is offered", 1, 1);
	offer(1, 64);
	offer(2, 3);
	offer(3, 64);
	write(ends[1], "one", 3);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 0, 0, 21), 6);
	go(r, "the first", 1, 1);
	write(ends[1], "longer", 6);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 64, 0, 22), 6);
	choose(next(r, IORING_OP_READ, ends[0], NULL, 2, 0, 23), 6);
	go(r, "the others", 2, 2);
	struct io_uring_buf_status {
		uint32_t group, head, reserved[8], behind;
	} status = { .group = 6, .behind = 7 };
	printf("status %ld", reg(r, 26, &status, 1));
	printf(" head %u behind it %u\n", status.head, status.behind);
	provide(r, 6, 0, 1);
	go(r, "a piece for a ring", 1, 1);
	printf("gone %ld\n", reg(r, IORING_UNREGISTER_PBUF_RING, &arg, 1));
	printf("again %ld\n", reg(r, IORING_UNREGISTER_PBUF_RING, &arg, 1));
	arg.bgid = 3;
	printf("that was no ring %ld\n", reg(r, IORING_UNREGISTER_PBUF_RING, &arg, 1));
	close(ends[0]);
	close(ends[1]);
}

static void polling(struct ring *r)
{
	int ends[2];
	char byte;
	struct io_uring_sqe *e;

	pipe(ends);
	e = next(r, IORING_OP_POLL_ADD, ends[0], NULL, IORING_POLL_ADD_MULTI, 0, 30);
	e->poll32_events = POLLIN;
	go(r, "poll goes on", 1, 0);
	write(ends[1], "a", 1);
	go(r, "once", 0, 1);
	go(r, "nothing new", 0, 0);
	read(ends[0], &byte, 1);
	write(ends[1], "b", 1);
	go(r, "twice", 0, 1);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)30, 0, 0, 31);
	go(r, "no more", 1, 2);
	e = next(r, IORING_OP_POLL_ADD, ends[0], NULL, IORING_POLL_ADD_MULTI, 0, 32);
	e->poll32_events = POLLIN;
	go(r, "ready at once", 1, 1);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)32, 0, 0, 33);
	go(r, "called off", 1, 2);
	e = next(r, IORING_OP_POLL_ADD, ends[0], NULL, 0x40, 0, 34);
	e->poll32_events = POLLIN;
	go(r, "an unknown flag", 1, 1);
	e = next(r, IORING_OP_POLL_ADD, ends[0], NULL, IORING_POLL_ADD_MULTI, 0, 35);
	e->flags |= IOSQE_CQE_SKIP_SUCCESS;
	go(r, "that nobody hears of", 1, 1);
	close(ends[0]);
	close(ends[1]);
}

static int listening(struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t bytes = sizeof(*name);

	name->sun_family = AF_UNIX;
	bind(fd, (void *)name, sizeof(name->sun_family));
	getsockname(fd, (void *)name, &bytes);
	listen(fd, 8);
	return fd;
}

static void accepting(struct ring *r)
{
	struct sockaddr_un name = { 0 };
	int listener = listening(&name), clients[3];
	struct io_uring_sqe *e = next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 40);

	e->ioprio = IORING_ACCEPT_MULTISHOT;
	go(r, "accept goes on", 1, 0);
	for (int i = 0; i < 3; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		connect(clients[i], (void *)&name, sizeof(name.sun_family) + 6);
		uint32_t before = *word(r->cqs, r->p.cq_off.tail);
		enter(r, 0, 1, IORING_ENTER_GETEVENTS);
		uint32_t *head = word(r->cqs, r->p.cq_off.head);
		struct io_uring_cqe *c = (void *)(r->cqs + r->p.cq_off.cqes);
		c += *head & (r->p.cq_entries - 1);
		printf("a connection %d, more %x, one %d\n", c->res > clients[i], c->flags,
		       *word(r->cqs, r->p.cq_off.tail) - before <= 1);
		(*head)++;
	}
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)40, 0, 0, 41);
	go(r, "no more", 1, 2);
	e = next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 42);
	e->ioprio = 0x80;
	go(r, "an unknown flag", 1, 1);
	e = next(r, IORING_OP_ACCEPT, clients[0], NULL, 0, 0, 43);
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	go(r, "of what does not listen", 1, 1);
	close(listener);
}

static void receiving(struct ring *r)
{
	int pair[2];
	struct io_uring_sqe *e;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	e = next(r, IORING_OP_RECV, pair[0], NULL, 0, 0, 50);
	e->ioprio = IORING_RECV_MULTISHOT;
	go(r, "recv goes on without buffers", 1, 1);
	provide(r, 9, 0, 3);
	go(r, "buffers", 1, 1);
	e = next(r, IORING_OP_RECV, pair[0], NULL, 0, 0, 51);
	e->ioprio = IORING_RECV_MULTISHOT;
	choose(e, 9);
	go(r, "recv goes on", 1, 0);
	write(pair[1], "one", 3);
	go(r, "once", 0, 1);
	write(pair[1], "two", 3);
	go(r, "twice", 0, 1);
	write(pair[1], "three", 5);
	go(r, "thrice", 0, 1);
	write(pair[1], "four", 4);
	go(r, "no buffer", 0, 1);
	provide(r, 9, 4, 2);
	go(r, "buffers", 1, 1);
	e = next(r, IORING_OP_RECV, pair[0], NULL, 0, 0, 52);
	choose(e, 9);
	go(r, "once only", 1, 1);
	e = next(r, IORING_OP_RECV, pair[0], NULL, 0, 0, 53);
	e->ioprio = IORING_RECV_MULTISHOT;
	choose(e, 9);
	go(r, "again", 1, 0);
	close(pair[1]);
	go(r, "the other end has gone", 0, 1);
	e = next(r, IORING_OP_RECV, pair[0], NULL, 0, 0, 54);
	e->ioprio = IORING_RECV_MULTISHOT;
	e->msg_flags = MSG_WAITALL;
	choose(e, 9);
	go(r, "all of it, again and again", 1, 1);
	close(pair[0]);
}

static void slots(struct ring *r)
{
	int ends[2], fds[3] = { -1, -1, -1 };
	struct io_uring_files_update update = { .offset = 1 };
	struct io_uring_sqe *e;

	pipe(ends);
	update.fds = (uintptr_t)fds;
	printf("no slots %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 1));
	printf("three empty ones %ld\n", reg(r, IORING_REGISTER_FILES, fds, 3));
	fds[0] = ends[1];
	printf("fill one %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 1));
	e = next(r, IORING_OP_WRITE, 1, "hi", 2, 0, 60);
	e->flags |= IOSQE_FIXED_FILE;
	go(r, "write by it", 1, 1);
	e = next(r, IORING_OP_WRITE, 0, "hi", 2, 0, 61);
	e->flags |= IOSQE_FIXED_FILE;
	go(r, "by an empty one", 1, 1);
	printf("too many %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 3));
	printf("none %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 0));
	fds[0] = IORING_REGISTER_FILES_SKIP;
	fds[1] = 999;
	printf("leave one, then nothing there %ld\n",
	       reg(r, IORING_REGISTER_FILES_UPDATE, &update, 2));
	fds[0] = 999;
	printf("nothing there %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 2));
	fds[0] = -1;
	next(r, IORING_OP_FILES_UPDATE, -1, fds, 1, 1, 62);
	go(r, "empty it", 1, 1);
	e = next(r, IORING_OP_WRITE, 1, "hi", 2, 0, 63);
	e->flags |= IOSQE_FIXED_FILE;
	go(r, "write by it", 1, 1);
	next(r, IORING_OP_FILES_UPDATE, -1, fds, 0, 1, 64);
	go(r, "no files", 1, 1);
	next(r, IORING_OP_FILES_UPDATE, -1, fds, 3, 1, 65);
	go(r, "too many", 1, 1);
	update.resv = 1;
	printf("what must be 0 %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE, &update, 1));
	printf("no slots any more %ld\n", reg(r, IORING_UNREGISTER_FILES, NULL, 0));
	close(ends[0]);
	close(ends[1]);
}

static void closing(struct ring *r)
{
	struct ring other;

	open_ring(&other, 0);
	next(r, IORING_OP_CLOSE, other.fd, NULL, 0, 0, 70);
	go(r, "close another ring", 1, 1);
	next(r, IORING_OP_CLOSE, r->fd, NULL, 0, 0, 71);
	go(r, "close itself", 1, 1);
	next(r, IORING_OP_POLL_ADD, other.fd, NULL, 0, 0, 72)->poll32_events = POLLIN;
	go(r, "wait for another ring", 1, 0);
	next(&other, IORING_OP_NOP, -1, NULL, 0, 0, 73);
	go(&other, "which ends something", 1, 1);
	go(r, "it has", 0, 1);
	close(other.fd);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 74);
	go(r, "still there", 1, 1);
}

// Entries that a thread of the kernel takes: it is woken in any case.
static void by_a_thread(void)
{
	static const unsigned flags[] = { IORING_SETUP_SQPOLL | IORING_SETUP_COOP_TASKRUN,
					  IORING_SETUP_SQ_AFF };
	struct io_uring_params p;
	struct ring r;
	int ends[2];

	for (int i = 0; i < 2; i++) {
		memset(&p, 0, sizeof(p));
		p.flags = flags[i];
		printf("flags %x: %ld\n", p.flags, setup(4, &p));
	}
	pipe(ends);
	open_ring(&r, IORING_SETUP_SQPOLL);
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 80)->flags |= IOSQE_IO_LINK;
	next(&r, IORING_OP_WRITE, ends[1], "sq", 2, 0, 81)->flags |= IOSQE_IO_LINK;
	next(&r, IORING_OP_READ, ends[0], memory, 2, 0, 82);
	printf("entered %ld\n", enter(&r, 3, 3, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP));
	tell(&r, "by a thread");
	printf("%.2s\n", memory[0]);
	next(&r, 200, -1, NULL, 0, 0, 83);
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 84);
	printf("entered %ld\n", enter(&r, 2, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP));
	tell(&r, "one makes no sense");
}

// Whoever may not lock memory pays for rings with what he may lock.
static void a_limit(void)
{
	struct rlimit pages = { 5 * 4096, 5 * 4096 };
	uid_t user;
	int fds[8];

	fflush(stdout);
	if (fork()) {
		wait(NULL);
		return;
	}
	setrlimit(RLIMIT_MEMLOCK, &pages);
	user = own_user();
	if (!getuid() && setresuid(user, user, user))
		printf("still root\n");
	for (int i = 0; i < 4; i++) {
		struct io_uring_params p = { 0 };
		fds[i] = (int)setup(4, &p);
		printf("ring %d: %s\n", i, fds[i] < 0 ? strerror(-fds[i]) : "made");
	}
	struct io_uring_params large = { 0 };
	printf("a large one: %s\n", strerror((int)-setup(4096, &large)));
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	struct ring r;

	open_ring(&r, 0);
	pieces(&r);
	in_a_ring(&r);
	polling(&r);
	accepting(&r);
	receiving(&r);
	slots(&r);
	closing(&r);
	by_a_thread();
	a_limit();
	return 0;
}

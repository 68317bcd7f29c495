/*
 * runner.c - runs sequences of calls, on the host's own kernel and on this one.
 *
 * Owns what `pkern conform` compares: the same program, statically linked and not
 * position independent, runs on both kernels without address randomisation, and both
 * must write the same bytes. Reads sequences from stdin, forks a child for each, and
 * the child writes what every call gave to stdout. Its address space is what is under
 * test, so all buffers are in .bss or in one shared area, and malloc is never called.
 *
 * stdin:   sequences: struct request, then its calls, each a struct call (calls.py writes them)
 * stdout:  frames of u32 nbytes and the bytes. Once a struct hello and /proc/self/maps;
 *          then one for each sequence: a byte for each call (enum end), struct outcome + bytes + text for each, and at the end of
 *          each process what /proc tells of it. An empty frame: the child died.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

enum { PAGE = 4096, MAX_CALLS = 512, NR_ACTORS = 2, NR_SLOTS = 16 };
enum { SHARED_AT = 0x8000000, OUT_BYTES = 8 << 20, TEXT_BYTES = 1 << 17 };
enum { PAGEMAP_PAGES = 64, PAGEMAP_SPAN = 96, MOST_SPANS = 1024 };
enum { ABOVE = 64 * PAGE }; /* of the window: segments may reach beyond it */
enum { CLEARED = 512, NR_SIZES = 32, SIZE_NAME = 16 };
enum { ADDRESS = 8, PERMS = 5, OFFSET = 8, NAME_AT = 73 }; /* columns of maps */
enum { MOST_FILES = 64, OWN_FILES = 48, NR_SHM = 2 };
enum { MARK = 55 };       /* that a page has changed: pagemap's bit above the number of its frame */
enum { SIZES = 22 * 28 }; /* bytes from Size to Locked in smaps: no line of them is shorter */

typedef uint64_t vector __attribute__((vector_size(16)));

#define SHM_NAME "/dev/shm/pkern-conform."

enum op {
	OP_LOAD = 1000,
	OP_STORE,
	OP_FORK,
	OP_SHM_OPEN,   /* a file below /dev/shm, by its number */
	OP_SHM_UNLINK, /* the same */
	OP_VM_READ, /* process_vm_readv of eight bytes, and its kin: of the child, or of oneself */
	OP_VM_WRITE,
	OP_MEM_READ, /* the same through /proc/PID/mem */
	OP_MEM_WRITE,
	OP_PEEK, /* by ptrace, of the child */
	OP_POKE
};
enum slot { FULL, EMPTY, SPARSE, READONLY }; /* what is there before the first call */
enum sort { SORT_PLAIN, SORT_SLOT, SORT_SCRATCH };
enum look { LOOK_NEVER, LOOK_WHEN_DONE, LOOK_ALWAYS };
enum looks { LOOKS_AT_END, LOOKS_AFTER_CALLS }; /* and at the end */
enum end { END_DONE, END_ERROR, END_SIGNAL };

struct request {
	uint32_t nr_calls;
	uint32_t looks; /* enum looks: when the areas are looked at */
};

struct call {
	uint32_t op;     /* a system call's number, or enum op */
	uint8_t actor;   /* the process that makes it: 0, or 1 after OP_FORK */
	uint8_t keep;    /* 1 + the slot that its result goes to, 0: it is reported */
	uint8_t quiet;   /* the result differs from kernel to kernel: report 0 */
	uint8_t look;    /* enum look: at the areas, afterwards */
	uint16_t out_at; /* what the call writes to scratch: from here */
	uint16_t nr_out; /* so many bytes */
	uint8_t sort[8]; /* enum sort, of each argument; SORT_PLAIN behind them */
	uint64_t a[6];
	uint64_t words[6]; /* laid into scratch before the call */
};

struct outcome {
	int64_t value;    /* result, or -errno; for a load what it read */
	uint32_t signo;   /* 0, or the signal that came */
	uint32_t code;    /* si_code of that signal */
	uint64_t addr;    /* si_addr of that signal */
	uint32_t nr_data; /* bytes of scratch that follow */
	uint32_t nr_maps; /* bytes of maps text that follow; 0: as before */
};

/* As it comes from stdin. */
struct input {
	struct request request;
	struct call calls[MAX_CALLS];
};

struct hello {
	uint64_t low, top; /* of the window that sequences play in */
};

/*
 * What the processes of a sequence share: the answer, and the numbers that calls returned. The
 * buffers lie here too: they hold longer names on one kernel than on the other, and must not show
 * in the sizes of the process.
 */
struct shared {
	size_t nr_out;
	int turn;              /* the process that goes on: who has the baton */
	int asleep[NR_ACTORS]; /* until it is its turn */
	pid_t first;           /* the process that forks the others: names hold its number */
	uint32_t names;        /* below /dev/shm that outlive the processes, as bits */
	int segments[MAX_CALLS], nr_segments; /* that do, too */
	int64_t slots[NR_SLOTS];
	struct input in;
	char f0[5 * PAGE + 8];              /* what that file begins with */
	char text[TEXT_BYTES];              /* of a file of /proc */
	char raw[NR_ACTORS][2][TEXT_BYTES]; /* maps of each process, now and before */
	char shown[NR_ACTORS][TEXT_BYTES];  /* the areas of each process, now and before */
	char out[OUT_BYTES];
};

struct span {
	uint64_t start, stop;
};

/* A size in status, as it is told. */
struct size {
	char name[SIZE_NAME];
	int64_t change; /* since the sequence began, kB */
};

enum { UNTOUCHED = (sizeof(struct shared) / PAGE - 1) * PAGE }; /* a page, with no pte to look at */

static struct shared *const shared = (struct shared *)SHARED_AT;
static char scratch[PAGE] __attribute__((aligned(4096)));
static struct request *const request = &((struct shared *)SHARED_AT)->in.request;
static struct call *const calls = ((struct shared *)SHARED_AT)->in.calls;
static uint64_t low, top;
static size_t nr_raw, nr_shown;
static int now_raw;                   /* which of the two texts is the latest */
static struct span spans[MOST_SPANS]; /* of the areas that were seen last */
static size_t nr_spans;
static struct size sizes[NR_SIZES]; /* that are compared, in order */
static int64_t before[NR_SIZES];    /* what each was before the sequence */
static size_t nr_sizes, nr_lines;   /* of status, compared or not */
static uint32_t compared;           /* which of those lines, as bits */
static int limited;                 /* the sequence has set limits */
static int actor, maps_fd;
static pid_t child;
static int batches;     /* this kernel puts pages on its lists in batches */
static int marks;       /* this kernel marks what has changed: its marks are not compared */
static void *escape[5]; /* where a signal goes on: __builtin_setjmp() */
static volatile uint32_t hit_signo, hit_code;
static volatile uint64_t hit_addr;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	hit_signo = (uint32_t)signo;
	hit_code = (uint32_t)info->si_code;
	hit_addr = signo == SIGXFSZ ? 0 : (uint64_t)info->si_addr;
	__builtin_longjmp(escape, 1);
}

/* ---- frames ---- */

static size_t request_bytes(void)
{
	if (!request->nr_calls || request->nr_calls > MAX_CALLS)
		_exit(9);
	return sizeof(*request) + request->nr_calls * sizeof(calls[0]);
}

/* Behind a request the next one may have come already. */
static void next_request(void)
{
	static size_t nr_in, nr_done;
	char *in = (char *)&shared->in;
	ssize_t n;

	nr_in -= nr_done;
	memmove(in, in + nr_done, nr_in);
	while (nr_in < sizeof(*request) || nr_in < request_bytes()) {
		n = read(0, in + nr_in, sizeof(shared->in) - nr_in);
		if (n <= 0)
			_exit(n < 0);
		nr_in += (size_t)n;
	}
	nr_done = request_bytes();
}

static void write_all(const void *from, size_t nbytes)
{
	const char *p = from;

	while (nbytes) {
		ssize_t n = write(1, p, nbytes);

		if (n <= 0)
			_exit(1);
		p += n;
		nbytes -= (size_t)n;
	}
}

static void *emit(const void *bytes, size_t nbytes)
{
	char *place = shared->out + shared->nr_out;

	if (shared->nr_out + nbytes > OUT_BYTES)
		_exit(7);
	if (bytes)
		memcpy(place, bytes, nbytes);
	shared->nr_out += nbytes;
	return place;
}

static void begin_frame(void) { shared->nr_out = 4; }

static void end_frame(void)
{
	uint32_t nbytes = (uint32_t)(shared->nr_out - 4);

	memcpy(shared->out, &nbytes, 4);
	write_all(shared->out, shared->nr_out);
}

/* ---- what /proc tells ---- */

static size_t read_file(int fd, char *into)
{
	size_t total = 0;
	ssize_t n;

	/*
	 * Linux fills a page at a time, as far as whole lines fit: half a page is the last one. Who
	 * gives more than a page gives all.
	 */
	do {
		n = pread(fd, into + total, TEXT_BYTES - 1 - total, (off_t)total);
		total += n > 0 ? (size_t)n : 0;
	} while (n >= PAGE / 2 && n <= PAGE);
	into[total] = 0;
	return total;
}

/* It stays open: who reads it ends soon, or asks once. */
static size_t read_path(const char *path, char *into)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		_exit(3);
	return read_file(fd, into);
}

static uint64_t word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return word;
}

/*
 * A number as maps has it: behind its digits, 0 to 9 and a to f, comes a dash or a space. There are
 * eight at least, which are taken together: an emulator thanks us for each branch that is not there.
 */
static const char *hex(const char *p, uint64_t *value)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t word = word_at(p), digits = (word & 15 * ones) + (word >> 6 & ones) * 9;

	digits = __builtin_bswap64(digits);
	digits = (digits | digits >> 4) & 0x00ff00ff00ff00ffu;
	digits = (digits | digits >> 8) & 0x0000ffff0000ffffu;
	*value = (digits | digits >> 16) & 0xffffffffu;
	for (p += ADDRESS; *p >= '0'; p++)
		*value = *value << 4 | (uint64_t)((*p & 15) + (*p >> 6) * 9);
	return p;
}

/* The kilobytes that a line of status ends with, filled up with spaces to eight digits or more. */
static int64_t kilobytes(const char *end)
{
	const char *p = end - sizeof("12345678 kB");
	uint64_t digits = word_at(p) & 0x0f0f0f0f0f0f0f0fu, scale = 100000000;
	int64_t value;

	digits = (digits * 10 + (digits >> 8)) & 0x00ff00ff00ff00ffu;
	digits = (digits * 100 + (digits >> 16)) & 0x0000ffff0000ffffu;
	value = (int64_t)((digits * 10000 + (digits >> 32)) & 0xffffffffu);
	for (p--; *p >= '0'; p--, scale *= 10)
		value += (int64_t)scale * (*p & 15);
	return value;
}

/* The bytes of a word that are 0, each as its highest bit; above the first one others may show. */
static uint64_t zero_bytes(uint64_t word)
{
	return (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
}

/* The bytes of the eight at p that are c, or 0, as zero_bytes() has them. */
static uint64_t hits_at(const char *p, char c)
{
	uint64_t word = word_at(p);

	return zero_bytes(word ^ 0x0101010101010101u * (unsigned char)c) | zero_bytes(word);
}

/* Behind the next c, or the end of the text: many bytes at a time. */
static const char *after(const char *p, char c)
{
	while (!(hits_at(p, c) | hits_at(p + 8, c) | hits_at(p + 16, c) | hits_at(p + 24, c)))
		p += 32;
	while (!hits_at(p, c))
		p += 8;
	p += __builtin_ctzll(hits_at(p, c)) / 8;
	return *p ? p + 1 : p;
}

static char *copy(char *to, const char *from, const char *end)
{
	memcpy(to, from, (size_t)(end - from));
	return to + (end - from);
}

/* A line of maps without the device and inode, which are each kernel's own. rights: behind "ADDR-ADDR ". */
static char *copy_area(char *to, const char *line, const char *rights, const char *end)
{
	const char *device = after(rights + PERMS + OFFSET, ' ');
	const char *name = end - line > NAME_AT ? line + NAME_AT : end - 1;

	to = copy(to, line, device);
	if (!memcmp(name, SHM_NAME, 8) && !strncmp(name, SHM_NAME, sizeof(SHM_NAME) - 1)) {
		to = copy(to, SHM_NAME, SHM_NAME + sizeof(SHM_NAME) - 1);
		name = after(name + sizeof(SHM_NAME) - 1, '.'); /* the number of a process */
	}
	return copy(to, name, end);
}

static void remember_span(uint64_t start, uint64_t stop)
{
	if (nr_spans == MOST_SPANS)
		_exit(22);
	spans[nr_spans++] = (struct span){ start, stop };
}

/* Behind the lines that follow an area in smaps, from Size to VmFlags; in maps there are none. */
static const char *behind_sizes(const char *line)
{
	return *line == 'S' ? after(after(line + SIZES, 'V'), '\n') : line;
}

/* Take the mark of change from VmFlags, whose line ends here; returns its new end. */
static char *without_mark(char *end)
{
	char *flag = end - 4; /* the last one, its space, the end of the line */

	while (*flag != ':' && memcmp(flag, "sd ", 3))
		flag -= 3;
	if (*flag == ':')
		return end;
	memmove(flag, flag + 3, (size_t)(end - flag - 3));
	return end - 3;
}

/* Keep the areas within the window, and the lines that follow each in smaps. */
static size_t within_window(const char *from, char *into)
{
	char *to = into;
	uint64_t start, stop;

	nr_spans = 0;
	while (*from) {
		const char *rights = hex(hex(from, &start) + 1, &stop) + 1;
		const char *sizes = after(rights, '\n'), *next = behind_sizes(sizes);

		if (start >= top + ABOVE)
			break;
		if (start >= low && stop <= top + ABOVE) {
			to = copy(copy_area(to, from, rights, sizes), sizes, next);
			if (marks && next != sizes)
				to = without_mark(to);
			remember_span(start, stop);
		}
		from = next;
	}
	return (size_t)(to - into);
}

/*
 * Linux puts pages on its lists, and moves them there, some thirty at a time: what smaps says of them
 * depends on what else this processor has done. Ask for it after each call; advice does, first of all.
 */
static void settle_lists(void)
{
	if (batches)
		madvise((char *)shared + UNTOUCHED, PAGE, MADV_COLD);
}

static void emit_smaps(void)
{
	char *place = emit(NULL, 4);
	size_t start = shared->nr_out;
	uint32_t nbytes;

	settle_lists(); /* what the other process has gathered, so that LazyFree counts it */
	read_path("smaps", shared->text);
	shared->nr_out += within_window(shared->text, shared->out + start);
	nbytes = (uint32_t)(shared->nr_out - start);
	memcpy(place, &nbytes, 4);
}

/* The first pages of each area: all bits but those of the frame's number. Areas lie close together. */
static void emit_pagemap(void)
{
	int fd = open("pagemap", O_RDONLY);
	uint64_t shown = ~0ull << (MARK + marks);
	uint64_t words[PAGEMAP_SPAN], page, nr_pages, from = 0, to = 0;
	char *place = emit(NULL, 4);
	size_t first = shared->nr_out, s, i;
	uint32_t nbytes;

	for (s = 0; s < nr_spans; s++) {
		page = spans[s].start / PAGE;
		nr_pages = (spans[s].stop - spans[s].start) / PAGE;
		if (nr_pages > PAGEMAP_PAGES)
			nr_pages = PAGEMAP_PAGES;
		if (page < from || page + nr_pages > to) {
			from = page;
			to = page + PAGEMAP_SPAN;
			if (pread(fd, words, sizeof(words), (off_t)(page * 8)) != sizeof(words))
				_exit(12);
		}
		for (i = page - from; i < page - from + nr_pages; i++)
			words[i] &= shown;
		emit(words + (page - from), nr_pages * 8);
	}
	nbytes = (uint32_t)(shared->nr_out - first);
	memcpy(place, &nbytes, 4);
}

/* Linux built with CONFIG_MEM_SOFT_DIRTY marks all new memory as changed; what is there is enough. */
static void look_for_marks(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t word = 0;

	if (pread(fd, &word, sizeof(word), SHARED_AT / PAGE * sizeof(word)) != sizeof(word))
		_exit(12);
	close(fd);
	marks = (int)(word >> MARK & 1);
}

/*
 * Whether a size is compared. How many pages of files our own program shows depends on what the
 * kernel has of them. VmHWM is not exact on Linux.
 */
static int is_compared(const char *line)
{
	static const char others[][9] = { "VmHWM:", "VmRSS:", "RssFile:", "RssShmem" };
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strncmp(line, others[i], strlen(others[i])))
			return 0;
	return 1;
}

/* Status from its first size, VmPeak, on, up to HugetlbPages. */
static const char *read_sizes(void)
{
	read_path("status", shared->text);
	return strstr(shared->text, "\nVm") + 1;
}

/* What the sizes are called, and are before a sequence; which are compared is looked up here only. */
static void remember_sizes(void)
{
	const char *line = read_sizes(), *next;

	for (; *line != 'H'; line = next) {
		next = after(line, '\n');
		if (nr_lines == NR_SIZES)
			_exit(23);
		if (is_compared(line)) {
			copy(sizes[nr_sizes].name, line, after(line, ':') - 1);
			before[nr_sizes++] = kilobytes(next);
			compared |= 1u << nr_lines;
		}
		nr_lines++;
	}
	before[0] = before[1]; /* VmPeak: a child's begins at its VmSize */
}

/* How the sizes have changed since the sequence began: each name and a number. */
static void emit_sizes(void)
{
	const char *line = read_sizes();
	uint32_t nbytes = (uint32_t)(nr_sizes * sizeof(sizes[0]));
	size_t i, nr = 0;

	for (i = 0; i < nr_lines; i++) {
		line = after(line, '\n');
		if (compared >> i & 1) {
			sizes[nr].change = kilobytes(line) - before[nr];
			nr++;
		}
	}
	emit(&nbytes, 4);
	emit(sizes, nbytes);
}

/* Put the areas behind the outcome if they are not as they were. */
static void look_at_areas(struct outcome *o)
{
	char *raw = shared->raw[actor][!now_raw];
	size_t nbytes = read_file(maps_fd, raw);

	if (nbytes == nr_raw && !memcmp(raw, shared->raw[actor][now_raw], nbytes))
		return;
	now_raw = !now_raw;
	nr_raw = nbytes;
	nr_shown = within_window(raw, shared->shown[actor]);
	shared->shown[actor][nr_shown] = 0;
	o->nr_maps = (uint32_t)nr_shown;
}

static void limit_files(void)
{
	struct rlimit limit = { MOST_FILES, MOST_FILES };

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* As many descriptors as there may be: what a sequence has limited is not ours. */
static void allow_files(void)
{
	if (limited)
		limit_files();
}

static void emit_state(void)
{
	allow_files();
	emit_smaps();
	emit_pagemap();
	emit_sizes();
}

/* ---- calls ---- */

static int64_t argument(const struct call *c, int i)
{
	if (c->sort[i] == SORT_SLOT)
		return c->a[i] < NR_SLOTS ? shared->slots[c->a[i]] : -1;
	if (c->sort[i] == SORT_SCRATCH)
		return (int64_t)(scratch + c->a[i]);
	return (int64_t)c->a[i];
}

/* What a call finds in scratch: its words, then zeroes. Words that it has not are zeroes, too. */
static void lay_words(const struct call *c)
{
	volatile vector *v =
		(vector *)scratch; /* not by `rep stos`, each turn of which takes a block */

#pragma GCC unroll 32
	for (size_t i = 0; i < CLEARED / sizeof(*v); i++)
		v[i] = (vector){ 0, 0 };
	memcpy(scratch, c->words, sizeof(c->words));
}

static int64_t system_call(const struct call *c)
{
	int64_t result;

	lay_words(c);
	result = syscall(c->op, argument(c, 0), argument(c, 1), argument(c, 2), argument(c, 3),
			 argument(c, 4), argument(c, 5));
	return result == -1 ? -errno : result;
}

/* ---- names that outlive a process ---- */

static const char *shm_name(uint64_t number)
{
	static char name[64] = SHM_NAME;
	char *p = name + sizeof(SHM_NAME) - 1 + 10;
	pid_t pid = shared->first;

	for (char *digit = p; digit > name + sizeof(SHM_NAME) - 1; pid /= 10)
		*--digit = (char)('0' + pid % 10);
	*p++ = '.';
	*p++ = (char)('0' + number % 10);
	*p = 0;
	return name;
}

static int64_t shm_open_number(uint64_t number, uint64_t flags)
{
	int fd = open(shm_name(number), (int)flags, 0600);

	shared->names |= 1u << number % NR_SHM;
	return fd < 0 ? -errno : fd;
}

static int64_t shm_unlink_number(uint64_t number) { return unlink(shm_name(number)) ? -errno : 0; }

/* What a sequence has left: names, and segments that no one has attached. */
static void forget_ipc(void)
{
	int i;

	for (i = 0; i < NR_SHM; i++)
		if (shared->names >> i & 1)
			unlink(shm_name((uint64_t)i));
	for (i = 0; i < shared->nr_segments; i++)
		shmctl(shared->segments[i], IPC_RMID, NULL);
	shared->names = 0;
	shared->nr_segments = 0;
}

static void remember_segment(int id) { shared->segments[shared->nr_segments++] = id; }

/* ---- the memory of another process ---- */

/* The child where there is one and it is not we who ask, else ourselves. */
static pid_t subject(void) { return child ? child : getpid(); }

static int64_t vm_access(const struct call *c)
{
	struct iovec own = { scratch, 8 }, other = { (void *)c->a[0], 8 };
	ssize_t n = c->op == OP_VM_READ ? process_vm_readv(subject(), &own, 1, &other, 1, 0)
					: process_vm_writev(subject(), &own, 1, &other, 1, 0);

	return n < 0 ? -errno : n;
}

static int64_t mem_access(const struct call *c)
{
	char path[32] = "/proc/self/mem";
	pid_t pid = subject();
	ssize_t n;
	int fd, i;

	if (child) {
		memcpy(path + 6, "0000000/mem", 12);
		for (i = 12; i >= 6; i--, pid /= 10)
			path[i] = (char)('0' + pid % 10);
		for (i = 6; path[i] == '0'; i++)
			;
		memmove(path + 6, path + i, strlen(path + i) + 1);
	}
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	n = c->op == OP_MEM_READ ? pread(fd, scratch, 8, (off_t)c->a[0])
				 : pwrite(fd, scratch, 8, (off_t)c->a[0]);
	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

/* The child waits for its turn: it is stopped there, asked, and let go. */
static int64_t trace_access(const struct call *c)
{
	int request = c->op == OP_PEEK ? PTRACE_PEEKDATA : PTRACE_POKEDATA, status;
	uint64_t data = c->op == OP_PEEK ? (uint64_t)scratch : c->a[1];
	long result;

	if (!child)
		return -ESRCH;
	if (ptrace(PTRACE_ATTACH, child, 0, 0) || waitpid(child, &status, 0) != child ||
	    !WIFSTOPPED(status))
		_exit(20);
	result = syscall(SYS_ptrace, request, child, c->a[0], data);
	result = result < 0 ? -errno : 0;
	if (ptrace(PTRACE_DETACH, child, 0, 0))
		_exit(21);
	return result;
}

static int64_t own_operation(const struct call *c)
{
	lay_words(c);
	switch (c->op) {
	case OP_SHM_OPEN:
		return shm_open_number(c->a[0], c->a[1]);
	case OP_SHM_UNLINK:
		return shm_unlink_number(c->a[0]);
	case OP_VM_READ:
	case OP_VM_WRITE:
		return vm_access(c);
	case OP_MEM_READ:
	case OP_MEM_WRITE:
		return mem_access(c);
	case OP_PEEK:
	case OP_POKE:
		return trace_access(c);
	}
	_exit(6);
}

/* ---- making the calls ---- */

/* Without what a C library adds for threads. */
static pid_t fork_process(void) { return (pid_t)syscall(SYS_fork); }

static void take_turns(uint32_t i);

static void open_maps(void)
{
	int fd = open("maps", O_RDONLY);

	maps_fd = fcntl(fd, F_DUPFD, OWN_FILES); /* out of the way of the sequence */
	close(fd);
	nr_raw = nr_shown = 0;
	shared->shown[actor][0] = 0;
}

static void start_process(int number)
{
	allow_files();
	actor = number;
	if (chdir(number ? "../self" : "self")) /* its files are opened by shorter names */
		_exit(19);
	if (request->looks)
		open_maps();
}

/* The other process has died, which no call makes it do. */
static void on_child(int signo)
{
	(void)signo;
	_exit(13);
}

static void watch_child(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_child;
	action.sa_flags = SA_NOCLDSTOP | SA_RESTART;
	sigaction(SIGCHLD, &action, NULL);
}

/* The child goes on with the calls behind this one when it is its turn. */
static int64_t fork_actor(uint32_t i)
{
	pid_t pid;

	if (actor || child)
		return -EBUSY;
	watch_child();
	pid = fork_process();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start_process(1);
		take_turns(i + 1);
		_exit(0);
	}
	child = pid;
	return pid;
}

static int64_t make_call(const struct call *c, uint32_t i)
{
	int64_t value;

	switch (c->op) {
	case OP_LOAD:
		return *(volatile int64_t *)c->a[0];
	case OP_STORE:
		*(volatile int64_t *)c->a[0] = (int64_t)c->a[1];
		return 0;
	case OP_FORK:
		value = fork_actor(i);
		break;
	default:
		value = c->op > OP_FORK ? own_operation(c) : system_call(c);
	}
	limited |= c->op == SYS_prlimit64;
	if (c->op == SYS_shmget && value >= 0)
		remember_segment((int)value);
	if (value >= 0 && c->keep)
		shared->slots[c->keep - 1] = value;
	return value >= 0 && c->quiet ? 0 : value;
}

static void perform(const struct call *c, uint32_t i, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	if (__builtin_setjmp(escape)) {
		o->signo = hit_signo;
		o->code = hit_code;
		o->addr = hit_addr;
		return;
	}
	o->value = make_call(c, i);
	if (o->value >= 0)
		o->nr_data = c->nr_out;
}

static char end_of(const struct call *c, const struct outcome *o)
{
	if (o->signo)
		return (char)(END_SIGNAL + o->signo);
	return c->op != OP_LOAD && o->value < 0 ? END_ERROR : END_DONE;
}

static void report(const struct call *c, uint32_t i)
{
	struct outcome o;

	perform(c, i, &o);
	settle_lists();
	shared->out[4 + i] = end_of(c, &o);
	if (request->looks && c->look >= (o.value < 0 ? LOOK_ALWAYS : LOOK_WHEN_DONE))
		look_at_areas(&o);
	memcpy(emit(NULL, sizeof(o)), &o, sizeof(o));
	if (o.nr_data)
		emit(scratch + c->out_at, o.nr_data);
	if (o.nr_maps)
		emit(shared->shown[actor], o.nr_maps);
}

/* ---- turns ---- */

/* A call for a process that is not there is made by the first one. */
static int whose(uint32_t i) { return child || actor ? calls[i].actor : 0; }

static void pass_baton(void)
{
	__atomic_store_n(&shared->turn, !actor, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->asleep[!actor], __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int has_baton(void) { return __atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) == actor; }

/* Where there is one processor, to give way is enough: the other goes on, up to its end. */
static void take_baton(void)
{
	if (!has_baton())
		sched_yield();
	__atomic_store_n(&shared->asleep[actor], 1, __ATOMIC_SEQ_CST);
	while (!has_baton())
		syscall(SYS_futex, &shared->turn, FUTEX_WAIT, !actor, NULL, NULL, 0);
	__atomic_store_n(&shared->asleep[actor], 0, __ATOMIC_SEQ_CST);
}

/* Make the calls of this process from the i-th on, and let the other make its own. */
static void take_turns(uint32_t i)
{
	while (actor && i < request->nr_calls && !calls[i].actor)
		i++;
	if (actor)
		take_baton();
	for (; i < request->nr_calls; i++) {
		if (whose(i) == actor) {
			report(&calls[i], i);
		} else if (whose(i - 1) == actor) {
			pass_baton();
			take_baton();
		}
	}
	if (actor && calls[request->nr_calls - 1].actor) {
		pass_baton();
		take_baton();
	}
	emit_state();
}

/* The slots that any call of the sequence names, as bits. */
static uint32_t slots_named(void)
{
	uint32_t named = 0, i;
	int j;

	for (i = 0; i < request->nr_calls; i++) {
		if (!word_at((const char *)calls[i].sort))
			continue;
		for (j = 0; j < 6; j++)
			if (calls[i].sort[j] == SORT_SLOT && calls[i].a[j] < NR_SLOTS)
				named |= 1u << calls[i].a[j];
	}
	return named;
}

/*
 * A write whose source is not there yet begins its page a second time on Linux, which then counts
 * as used twice; here it is used once. So the source is there.
 */
static void be_there(const volatile char *from, size_t nbytes)
{
	size_t i;

	for (i = 0; i < nbytes; i += PAGE)
		(void)from[i];
}

static int make_full(void)
{
	int fd = memfd_create("f0", 0);

	be_there(shared->f0, sizeof(shared->f0));
	if (ftruncate(fd, 5 * PAGE + 100) ||
	    pwrite(fd, shared->f0, sizeof(shared->f0), 0) != sizeof(shared->f0))
		_exit(4);
	return fd;
}

static int make_sparse(void)
{
	int fd = memfd_create("f2", 0), i;
	uint64_t stamp;

	if (ftruncate(fd, 12 * PAGE))
		_exit(4);
	for (i = 0; i < 12; i += 6) {
		stamp = 0xf2000000u + (uint64_t)i;
		if (pwrite(fd, &stamp, 8, i * PAGE) != 8)
			_exit(4);
	}
	return fd;
}

static int open_again(int fd)
{
	char path[] = "fd/NN";

	path[3] = fd < 10 ? (char)('0' + fd) : (char)('0' + fd / 10);
	path[4] = fd < 10 ? 0 : (char)('0' + fd % 10);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		_exit(5);
	return fd;
}

/* The files that slots 0 to 3 name, where a call does. */
static void make_files(void)
{
	uint32_t named = slots_named();

	memset(shared->slots, 0xff, sizeof(shared->slots));
	if (named & (1u << FULL | 1u << READONLY))
		shared->slots[FULL] = make_full();
	if (named & 1u << EMPTY)
		shared->slots[EMPTY] = memfd_create("f1", 0);
	if (named & 1u << SPARSE)
		shared->slots[SPARSE] = make_sparse();
	if (named & 1u << READONLY)
		shared->slots[READONLY] = open_again((int)shared->slots[FULL]);
}

static void run_sequence(void)
{
	begin_frame();
	emit(NULL, request->nr_calls);
	shared->turn = shared->asleep[0] = shared->asleep[1] = 0;
	start_process(0);
	make_files();
	take_turns(0);
	if (child) {
		signal(SIGCHLD, SIG_DFL);
		pass_baton();
		waitpid(child, NULL, 0);
	}
	end_frame();
	_exit(0);
}

/* ---- the process that forks them ---- */

static void become_ordinary(uint64_t memlock)
{
	struct rlimit limit = { memlock, memlock };
	/* A user of its own: what SHM_LOCK locks is counted over all processes of a user. */
	unsigned int id = 100000 + (unsigned int)getpid() % 50000;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = limit.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &limit);
	limit_files();
	if (getuid() == 0) {
		if (setresgid(id, id, id) || setresuid(id, id, id))
			_exit(8);
		prctl(PR_SET_DUMPABLE, 1);
	}
}

/* What a C library asks for at the start: each signal, and each turn, looks at it then. */
static void forget_sequences(void)
{
#ifdef RSEQ_SIG
	enum { UNREGISTER = 1, BYTES = 32 };

	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, BYTES,
			UNREGISTER, RSEQ_SIG);
#endif
}

static void catch_signals(void)
{
	static const int caught[] = { SIGSEGV, SIGBUS, SIGXFSZ };
	struct sigaction action;
	size_t i;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_signal;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaction(caught[i], &action, NULL);
}

/* A stack as deep as it will ever be, before the first look at the maps. */
static __attribute__((noinline)) void grow_stack(void)
{
	volatile char deep[65536];
	size_t i;

	for (i = 0; i < sizeof(deep); i += 1024)
		deep[i] = 1;
}

static void share(void)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, i;

	if (mmap(shared, sizeof(*shared), PROT_READ | PROT_WRITE, flags, -1, 0) != shared)
		_exit(14);
	for (i = 0; i < 6; i++)
		*(uint64_t *)(shared->f0 + i * PAGE) = 0xf0000000u + (uint64_t)i;
}

/*
 * Unmap what a kernel gives each program for its clocks, where it does: we ask for no time, and
 * both kernels are to have the same room. The window reaches from our last area to the place that
 * a kernel chooses first.
 */
static void find_window(void)
{
	const char *line, *dash, *name;
	uint64_t start, stop;
	void *first;

	read_path("/proc/self/maps", shared->text);
	for (line = shared->text; *line; line = after(line, '\n')) {
		name = after(line, '[');
		dash = hex(line, &start);
		hex(dash + 1, &stop);
		if (name < after(line, '\n') && *name == 'v' && stop < 1ull << 47)
			munmap((void *)start, stop - start);
		else if (stop < 1ull << 46)
			low = stop;
	}
	first = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(first, PAGE);
	top = (uint64_t)first + PAGE;
}

static void say_hello(void)
{
	struct hello h = { low, top };

	begin_frame();
	emit(&h, sizeof(h));
	emit(shared->text, read_path("/proc/self/maps", shared->text));
	end_frame();
}

static void serve(void)
{
	uint32_t dead = 0;
	int status;
	pid_t pid;

	if (chdir("/proc/self"))
		_exit(19);
	shared->first = getpid();
	remember_sizes();
	if (chdir("/proc"))
		_exit(19);
	closefrom(3); /* what we have read */
	for (;;) {
		next_request();
		pid = fork_process();
		if (pid == 0)
			run_sequence();
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			_exit(10);
		forget_ipc();
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			write_all(&dead, 4);
	}
}

int main(int argc, char **argv)
{
	uint64_t memlock = argc > 1 ? strtoull(argv[1], NULL, 0) : 65536;

	batches = argc > 2;
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
		return 11;
	}
	closefrom(3);
	become_ordinary(memlock);
	forget_sequences();
	catch_signals();
	grow_stack();
	share();
	look_for_marks();
	find_window();
	say_hello();
	serve();
	return 0;
}

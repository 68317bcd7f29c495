/*
 * execve of what is no program, or none any more: first lines of scripts, chains of them, headers
 * that lie, limits that a new program does not fit in. Some are refused; some come too late to be
 * refused, and the caller dies.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *const nothing[] = { 0 };
static char self[300];

static void put(const char *name, const void *content, size_t nbytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	write(fd, content, nbytes);
	close(fd);
}

static void run(const char *what, const char *name, int resource, rlim_t limit)
{
	int status;
	fflush(stdout);
	if (!fork()) {
		struct rlimit both = { limit, limit }, no_core = { 0, 0 };
		setrlimit(RLIMIT_CORE, &no_core);
		if (resource >= 0)
			setrlimit(resource, &both);
		execve(name, (char *[]){ "zero", "one", 0 }, nothing);
		say(name, -1);
		_exit(9);
	}
	wait(&status);
	if (WIFSIGNALED(status))
		printf("%s: died of %d\n", what, WTERMSIG(status));
	else
		printf("%s: ended with %d\n", what, WEXITSTATUS(status));
}

static void script(const char *text, size_t nbytes)
{
	put("script", text, nbytes);
	run(text, "script", -1, 0);
}

#define SCRIPT(text) script(text, sizeof(text) - 1)

static void scripts(void)
{
	char line[400];
	SCRIPT("#!");
	SCRIPT("#!\n");
	SCRIPT("#! \n");
	SCRIPT("#!\0\n");
	SCRIPT("#!./target");
	SCRIPT("#!./target\n");
	SCRIPT("#! \t./target\ta b \t\n");
	SCRIPT("#!./target\r\n");
	SCRIPT("#!./target\va\n");
	SCRIPT("#!./target a\0b\n");
	SCRIPT("#!target x");
	SCRIPT("#!.\n");
	memset(line, 'a', sizeof line);
	memcpy(line, "#!./target ", 11);
	put("script", line, sizeof line);
	run("a long argument", "script", -1, 0);
	memcpy(line, "#!./", 4);
	line[10] = 'a';
	put("script", line, sizeof line);
	run("a long name", "script", -1, 0);
	line[254] = ' ';
	put("script", line, sizeof line);
	run("a long name that ends", "script", -1, 0);
	memset(line, ' ', sizeof line);
	memcpy(line, "#!", 2);
	put("script", line, sizeof line);
	run("blanks", "script", -1, 0);
}

static void chains(void)
{
	char name[20], text[40] = "#!./target one\n";
	for (int i = 1; i <= 7; i++) {
		snprintf(name, sizeof name, "chain%d", i);
		put(name, text, strlen(text));
		run(name, name, -1, 0);
		snprintf(text, sizeof text, "#!./%s\n", name);
	}
	put("own", "#!./own\n", 8);
	run("its own interpreter", "own", -1, 0);
}

static void lie(const char *what, int at, int value, size_t nbytes)
{
	static unsigned char image[1 << 16];
	int fd = open("target", O_RDONLY);
	size_t whole = read(fd, image, sizeof image);
	close(fd);
	if (at >= 0)
		image[at] = value;
	put("liar", image, nbytes < whole ? nbytes : whole);
	run(what, "liar", -1, 0);
}

static void headers(void)
{
	lie("four bytes", -1, 0, 4);
	lie("no whole header", -1, 0, 63);
	lie("only a header", -1, 0, 64);
	lie("cut in its middle", -1, 0, 1 << 16);
	lie("its class says 32 bit", 4, 1, 1 << 16);
	lie("its bytes are the other way round", 5, 2, 1 << 16);
	lie("its version", 6, 9, 1 << 16);
	lie("an object file", 16, 1, 1 << 16);
	lie("a machine of 32 bit", 18, 3, 1 << 16);
	lie("program headers of another size", 54, 1, 1 << 16);
	lie("no program headers", 56, 0, 1 << 16);
	lie("program headers far away", 36, 1, 1 << 16);
	lie("a segment at the kernel's addresses", 87, 0xff, 1 << 16);
	lie("more of the file than of memory", 102, 1, 1 << 16);
	lie("more memory than there are addresses", 110, 1, 1 << 16);
	lie("a segment off its page", 72, 8, 1 << 16);
}

static void limits(void)
{
	static const struct {
		const char *what;
		int resource;
		rlim_t limit;
	} too_small[] = {
		{ "no address space", RLIMIT_AS, 0 },
		{ "hardly any address space", RLIMIT_AS, 1 << 17 },
		{ "no data", RLIMIT_DATA, 0 },
		{ "hardly any data", RLIMIT_DATA, 4096 },
		{ "a small stack", RLIMIT_STACK, 1 << 17 },
		{ "no files", RLIMIT_NOFILE, 0 },
	};
	for (size_t i = 0; i < sizeof too_small / sizeof *too_small; i++)
		run(too_small[i].what, "target", too_small[i].resource, too_small[i].limit);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "zero") || !strncmp(argv[0], "./", 2) || !strcmp(argv[0], "target")) {
		printf("it runs:");
		for (int i = 0; i < argc; i++)
			printf(" [%s]", argv[i]);
		printf("\n");
		return 3;
	}
	static char copy[1 << 22];
	self[readlink("/proc/self/exe", self, sizeof self - 1)] = 0;
	int fd = open(self, O_RDONLY);
	size_t nbytes = read(fd, copy, sizeof copy);
	close(fd);
	chdir(argv[1]);
	put("target", copy, nbytes);
	scripts();
	chains();
	headers();
	limits();
	return 0;
}

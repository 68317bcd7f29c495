/* corereader DIRECTORY ARGUMENT...: writes what it reads, and with what, into DIRECTORY. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buffer[65536], name[256];
	long n, total = 0, first = 0;
	struct rlimit limit;
	snprintf(name, sizeof(name), "%s/core", argv[1]);
	int out = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	while ((n = read(0, buffer, sizeof(buffer))) > 0) {
		if (!strcmp(argv[2], "short") && total)
			break;
		if (write(out, buffer, n) != n)
			return 1;
		total += n;
	}
	snprintf(name, sizeof(name), "%s/told", argv[1]);
	freopen(name, "w", stdout);
	for (int i = 2; i < argc; i++)
		printf("[%s]", argv[i]);
	getrlimit(RLIMIT_CORE, &limit);
	char cwd[64], path[64];
	snprintf(path, sizeof(path), "/proc/%s/status", argv[2]);
	printf("\nuid %d cwd %s limit %ld more %d dumping %d\n", getuid(), getcwd(cwd, sizeof(cwd)),
	       (long)limit.rlim_cur, open("/", O_RDONLY) != out + 1, access(path, F_OK));
	return 0;
}

// What counts as a number in the files of /proc/self.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *files[] = { "coredump_filter", "clear_refs", "oom_score_adj", "timerslack_ns" };
static const char *texts[] = { "0x10",
			       "010",
			       "4294967295",
			       "4294967296",
			       "18446744073709551615",
			       "18446744073709551616",
			       "+5",
			       "+-5",
			       " 7",
			       "7 ",
			       "7x",
			       "",
			       "\n",
			       "\t7\n",
			       "7 8",
			       "3\n",
			       "00000000000000000007",
			       "1000",
			       "1001",
			       "0x",
			       "0b11",
			       "1_0" };

int main(void)
{
	char path[100], back[100];
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < sizeof(texts) / sizeof(*texts); j++) {
			sprintf(path, "/proc/self/%s", files[i]);
			int fd = open(path, i == 1 ? O_WRONLY : O_RDWR);
			errno = 0;
			long done = write(fd, texts[j], strlen(texts[j]));
			int error = done < 0 ? errno : 0;
			lseek(fd, 0, SEEK_SET);
			long n = read(fd, back, 99);
			back[n > 0 ? n : 0] = 0;
			printf("%s [%s] %ld/%d %s%s", files[i], texts[j], done, error, back,
			       *back ? "" : "\n");
			close(fd);
		}
	return 0;
}

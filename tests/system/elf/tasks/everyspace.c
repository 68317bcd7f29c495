/* Namespaces of every kind, used: what a sweep lets fail one by one. Nothing is said of errors. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EVERYTHING \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWCGROUP | 0x80)

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		(void)fd;
	close(fd);
}

static void network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in name = { AF_INET, htons(77), { htonl(INADDR_LOOPBACK) } };
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	ioctl(server, SIOCSIFFLAGS, &lo);
	bind(server, (void *)&name, sizeof name);
	listen(server, 4);
	connect(client, (void *)&name, sizeof name);
	send(client, "x", 1, MSG_NOSIGNAL);
}

/* A descriptor that is on its way to nobody when the program ends. */
static void on_its_way(int file)
{
	struct sockaddr_un name = { AF_UNIX, "\0here" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	char control[CMSG_SPACE(4)] = { 0 };
	struct iovec vector = { "y", 1 };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(4);
	memcpy(CMSG_DATA(head), &file, 4);
	bind(server, (void *)&name, sizeof name);
	listen(server, 3);
	connect(client, (void *)&name, sizeof name);
	sendmsg(client, &message, MSG_NOSIGNAL);
}

static void mounts(void)
{
	mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
	mount("t", "/tmp", "tmpfs", 0, "size=64k");
	mkdir("/tmp/a", 0755);
	mkdir("/tmp/b", 0755);
	mount("/tmp/a", "/tmp/b", 0, MS_BIND, 0);
	mount("d", "/tmp/a", "devpts", 0, "ptmxmode=666");
	open("/tmp/a/ptmx", O_RDWR | O_NOCTTY);
	int tree = syscall(428, -100, "/tmp", 1 | 0x8000); /* open_tree, cloned */
	syscall(429, tree, "", -100, "/tmp/b", 4);         /* move_mount */
	int fs = syscall(430, "tmpfs", 0);                 /* fsopen */
	syscall(431, fs, 6, 0, 0, 0);
	syscall(432, fs, 0, 0); /* fsmount */
}

static void another_root(void)
{
	mount("/tmp", "/tmp", 0, MS_BIND | MS_REC, 0);
	if (chdir("/tmp") || mkdir("old", 0755))
		return;
	syscall(SYS_pivot_root, ".", "old");
	umount2("/old", MNT_DETACH);
}

int main(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY);
	struct timespec at;
	unshare(EVERYTHING);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/gid_map", "0 0 1");
	put("/proc/self/timens_offsets", "monotonic 1000 0");
	mounts();
	pid_t child = fork();
	if (!child) {
		network();
		on_its_way(home);
		clock_gettime(CLOCK_MONOTONIC, &at);
		unshare(CLONE_NEWNET | CLONE_NEWNS);
		socket(AF_INET6, SOCK_DGRAM, 0);
		setns(home, CLONE_NEWNET);
		another_root();
		_exit(0);
	}
	while (child > 0 && waitpid(child, 0, 0) < 0)
		;
	unshare(0x80);
	umount2("/tmp/b", 0);
	umount2("/tmp", MNT_DETACH);
	return 0;
}

/*
 * Makes TCP connections and says what their own sockets know of them, to
 * compare it with what the exporter has counted. Those who make connections
 * print a line for each:
 *
 *	RESULT CLIENT SERVER CLOCK
 *
 * "connected" or the name of the error, then in microseconds: the round trip
 * by the client's TCP_INFO, by the server's, and the time from connect() to its
 * result by this program's own clock. What is not known is 0.
 *
 * serve ADDRESS PORT...            accepts, for IPv4 with Fast Open; tells the client its TCP_INFO, closes
 * take ADDRESS PORT...             the same for any address that is routed here, as a transparent proxy does
 * connect ADDRESS PORT COUNT       one after the other
 * together ADDRESS PORT COUNT      all at once
 * hold ADDRESS PORT COUNT MS       all at once, which are held that long
 * abandon ADDRESS PORT COUNT MS    all at once, closed after that time, connected or not
 * defer ADDRESS PORT COUNT MS      with Fast Open, whose data comes that late; 0: never
 * cross ADDRESS PORT UPTIME_MS     from that port, to one that does the same, at that moment
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SOCKETS 256
#define BACKLOG	    4096

/* More than any handshake may take here. */
#define PATIENCE_S 30

struct address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

static void die(const char *what)
{
	fprintf(stderr, "connections: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* With a colon it is for an IPv6 socket, that of a mapped address, too. */
static struct address parse(const char *text, const char *port)
{
	struct address address = {};
	int known;

	if (strchr(text, ':')) {
		address.size = sizeof(address.v6);
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(atoi(port));
		known = inet_pton(AF_INET6, text, &address.v6.sin6_addr);
	} else {
		address.size = sizeof(address.v4);
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(atoi(port));
		known = inet_pton(AF_INET, text, &address.v4.sin_addr);
	}
	if (known != 1) {
		errno = EINVAL;
		die(text);
	}
	return address;
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die("setsockopt");
}

static int make_socket(const struct address *address, int flags)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | flags, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		die("TCP_INFO");
	return info;
}

static int error_of(int fd)
{
	int error;
	socklen_t size = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		die("SO_ERROR");
	return error;
}

/* What the server tells. */
static uint32_t receive(int fd)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	uint32_t rtt;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("setsockopt");
	return recv(fd, &rtt, sizeof(rtt), MSG_WAITALL) == sizeof(rtt) ? rtt : 0;
}

static void print(int error, uint32_t client, uint32_t server, uint64_t clock)
{
	printf("%s %u %u %llu\n", error ? strerrorname_np(error) : "connected", client, server,
	       (unsigned long long)clock);
}

/* Accepts one, and tells the client. */
static int accept_one(int listener)
{
	int fd = accept(listener, NULL, NULL);
	uint32_t rtt;

	if (fd >= 0) {
		rtt = info_of(fd).tcpi_rtt;
		send(fd, &rtt, sizeof(rtt), MSG_NOSIGNAL);
	}
	return fd;
}

/* Listeners come first, then those who were accepted and have not closed. */
static __attribute__((noreturn)) void serve(char **arguments, int count, bool transparent)
{
	struct pollfd sockets[MAX_SOCKETS];
	struct address address;
	int ports = count - 1;
	int used = ports;
	char data[64];
	int fd;

	for (int i = 0; i < ports; i++) {
		address = parse(arguments[0], arguments[i + 1]);
		fd = make_socket(&address, 0);
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		/* Failed requests of a listener with Fast Open are not told apart. */
		if (address.any.sa_family == AF_INET)
			set(fd, IPPROTO_TCP, TCP_FASTOPEN, BACKLOG);
		if (transparent && address.any.sa_family == AF_INET)
			set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
		else if (transparent)
			set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
		if (bind(fd, &address.any, address.size) || listen(fd, BACKLOG))
			die("listen");
		sockets[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	for (;;) {
		if (poll(sockets, used, -1) < 0)
			die("poll");
		for (int i = used - 1; i >= ports; i--) {
			if (sockets[i].revents && recv(sockets[i].fd, data, sizeof(data), 0) <= 0) {
				close(sockets[i].fd);
				sockets[i] = sockets[--used];
			}
		}
		for (int i = 0; i < ports && used < MAX_SOCKETS; i++) {
			if (!sockets[i].revents)
				continue;
			fd = accept_one(sockets[i].fd);
			if (fd >= 0)
				sockets[used++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
	}
}

static int connect_each(const struct address *address, int count)
{
	uint64_t from, to;
	uint32_t rtt;
	int fd, error;

	while (count--) {
		fd = make_socket(address, 0);
		from = now_us();
		error = connect(fd, &address->any, address->size) ? errno : 0;
		to = now_us();
		rtt = error ? 0 : info_of(fd).tcpi_rtt;
		print(error, rtt, error ? 0 : receive(fd), to - from);
		close(fd);
	}
	return 0;
}

static void make_blocking(int fd)
{
	int on = 0;

	if (ioctl(fd, FIONBIO, &on))
		die("FIONBIO");
}

static int connect_together(const struct address *address, int count, int hold_ms)
{
	struct pollfd sockets[MAX_SOCKETS];
	uint64_t from[MAX_SOCKETS], clock[MAX_SOCKETS];
	struct tcp_info info[MAX_SOCKETS];
	int error[MAX_SOCKETS];
	int pending = count;

	for (int i = 0; i < count; i++) {
		sockets[i] = (struct pollfd){ .fd = make_socket(address, SOCK_NONBLOCK), .events = POLLOUT };
		from[i] = now_us();
		if (connect(sockets[i].fd, &address->any, address->size) && errno != EINPROGRESS)
			die("connect");
	}
	while (pending) {
		if (poll(sockets, count, PATIENCE_S * 1000) <= 0)
			die("poll");
		for (int i = 0; i < count; i++) {
			if (sockets[i].fd < 0 || !sockets[i].revents)
				continue;
			clock[i] = now_us() - from[i];
			/*
			 * In this order: TCP_INFO waits until the kernel, which sets the error first, has also closed
			 * the socket, and SO_ERROR would take the error away before.
			 */
			info[i] = info_of(sockets[i].fd);
			error[i] = error_of(sockets[i].fd);
			/* Negative ones are left out by poll(). */
			sockets[i].fd = ~sockets[i].fd;
			pending--;
		}
	}
	if (hold_ms)
		sleep_ms(hold_ms);
	for (int i = 0; i < count; i++) {
		sockets[i].fd = ~sockets[i].fd;
		make_blocking(sockets[i].fd);
		print(error[i], error[i] ? 0 : info[i].tcpi_rtt, error[i] || hold_ms ? 0 : receive(sockets[i].fd),
		      clock[i]);
		close(sockets[i].fd);
	}
	return 0;
}

static int abandon(const struct address *address, int count, int after_ms)
{
	int sockets[MAX_SOCKETS];
	struct sched_param first = { .sched_priority = 1 };

	/* On a busy machine the answer may come before the socket is closed. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
	for (int i = 0; i < count; i++) {
		sockets[i] = make_socket(address, SOCK_NONBLOCK);
		if (connect(sockets[i], &address->any, address->size) && errno != EINPROGRESS)
			die("connect");
	}
	sleep_ms(after_ms);
	for (int i = 0; i < count; i++)
		close(sockets[i]);
	return 0;
}

/*
 * connect() returns at once if there is a cookie from before ("deferred"); the
 * SYN goes out with the first data then, and the clock is the time from there
 * to the server's answer.
 */
static int defer(const struct address *address, int count, int after_ms)
{
	struct tcp_info info;
	uint32_t client, server;
	uint64_t from, to;
	bool deferred;
	int fd;

	while (count--) {
		fd = make_socket(address, 0);
		set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
		from = now_us();
		if (connect(fd, &address->any, address->size))
			die("connect");
		to = now_us();
		info = info_of(fd);
		deferred = info.tcpi_state == TCP_SYN_SENT;
		client = info.tcpi_rtt;
		server = 0;
		if (after_ms || !deferred) {
			sleep_ms(after_ms);
			if (deferred) {
				from = now_us();
				if (send(fd, "", 1, 0) != 1)
					die("send");
			}
			server = receive(fd);
		}
		if (deferred) {
			to = now_us();
			client = info_of(fd).tcpi_rtt;
		}
		printf("%s %u %u %llu\n", deferred ? "deferred" : "connected", client, server,
		       (unsigned long long)(to - from));
		close(fd);
	}
	return 0;
}

static int cross(const struct address *address, unsigned int uptime_ms)
{
	struct timespec at = { .tv_sec = uptime_ms / 1000, .tv_nsec = uptime_ms % 1000 * 1000000 };
	struct pollfd socket = { .fd = make_socket(address, SOCK_NONBLOCK), .events = POLLOUT };
	struct address own = *address;
	uint64_t from;
	int error;

	/* The port stays, the address is any. */
	own.v4.sin_addr.s_addr = INADDR_ANY;
	set(socket.fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(socket.fd, &own.any, own.size))
		die("bind");
	clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, NULL);
	from = now_us();
	if (connect(socket.fd, &address->any, address->size) && errno != EINPROGRESS)
		die("connect");
	if (poll(&socket, 1, PATIENCE_S * 1000) <= 0)
		die("poll");
	error = error_of(socket.fd);
	print(error, error ? 0 : info_of(socket.fd).tcpi_rtt, 0, now_us() - from);
	close(socket.fd);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int count = argc > 4 ? atoi(argv[4]) : 0;
	int ms = argc > 5 ? atoi(argv[5]) : 0;
	struct address address;

	if (argc > 3) {
		address = parse(argv[2], argv[3]);
		if (!strcmp(mode, "serve") && argc - 3 <= MAX_SOCKETS)
			serve(argv + 2, argc - 2, false);
		if (!strcmp(mode, "take") && argc - 3 <= MAX_SOCKETS)
			serve(argv + 2, argc - 2, true);
		if (!strcmp(mode, "connect"))
			return connect_each(&address, count);
		if (!strcmp(mode, "defer"))
			return defer(&address, count, ms);
		if (!strcmp(mode, "cross"))
			return cross(&address, count);
		if (!strcmp(mode, "together") && count <= MAX_SOCKETS)
			return connect_together(&address, count, 0);
		if (!strcmp(mode, "hold") && count <= MAX_SOCKETS)
			return connect_together(&address, count, ms);
		if (!strcmp(mode, "abandon") && count <= MAX_SOCKETS)
			return abandon(&address, count, ms);
	}
	fprintf(stderr, "usage: connections MODE ADDRESS PORT [COUNT [MS]]\n");
	return 2;
}

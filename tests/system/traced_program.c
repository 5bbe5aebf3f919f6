// SPDX-License-Identifier: Apache-2.0
// Calls its functions from two threads until its input ends, then prints how often.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "static_probe.h"

static volatile int stop;

__attribute__((noinline)) unsigned traced_work(unsigned number)
{
	__asm__ volatile(MS_STATIC_PROBE("traced", "work", "0", "4@%k0") : "+r"(number));
	return number;
}

static void *run(void *calls)
{
	for (unsigned long *count = calls; !stop; ++*count) {
		traced_work((unsigned)*count);
		usleep(20);
	}
	return NULL;
}

int main(void)
{
	unsigned long calls[2] = {0, 0};
	pthread_t threads[2];

	for (int i = 0; i < 2; ++i)
		pthread_create(&threads[i], NULL, run, &calls[i]);
	while (getchar() != EOF)
		;
	stop = 1;
	for (int i = 0; i < 2; ++i)
		pthread_join(threads[i], NULL);
	printf("%lu\n", calls[0] + calls[1]);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers of Go's ABIInternal (since Go 1.17) in a uprobe's context. */
#ifndef MAPSHIFT_GO_REGS_H
#define MAPSHIFT_GO_REGS_H

#include <linux/ptrace.h>

#define GO_ARG1(ctx) ((ctx)->rax)
#define GO_ARG2(ctx) ((ctx)->rbx)
#define GO_ARG3(ctx) ((ctx)->rcx)
#define GO_ARG4(ctx) ((ctx)->rdi)
#define GO_RESULT1(ctx) ((ctx)->rax)
#define GO_RESULT2(ctx) ((ctx)->rbx)
/* The goroutine; on the system stack this is g0. */
#define GO_G(ctx) ((ctx)->r14)

#endif

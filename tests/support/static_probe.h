// SPDX-License-Identifier: Apache-2.0
#pragma once

// What <sys/sdt.h> makes of a static probe: a nop, and a note about it. For the template of an asm statement; `semaphore` is "0" or a
// 16-bit variable, `arguments` such as "4@%k0".
#define MS_STATIC_PROBE(provider, name, semaphore, arguments)                                                    \
  "990: nop\n"                                                                                                   \
  ".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n"                                                        \
  ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"                                   \
  "993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte " semaphore "\n"                                             \
  ".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" arguments "\"\n994: .balign 4\n.popsection\n"       \
  ".ifndef _.stapsdt.base\n.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"              \
  ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n.endif\n"

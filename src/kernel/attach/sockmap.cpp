// SPDX-License-Identifier: Apache-2.0
// Programs on what the sockets of a map send or receive. The kernel gives a socket the programs that its map has when it is put into
// the map, and never others (sock_map_link; seen on Linux 6.18): after an update of the link new sockets run the new program, and
// those that are there the old one until they leave the map.
#include <bpf/bpf.h>

#include <array>
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/libbpf_log.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

struct SockmapHook {
  std::string_view name;
  bpf_attach_type attach_type;
  bpf_prog_type program_type;
};
constexpr std::array<SockmapHook, 4> kHooks{{{"stream_parser", BPF_SK_SKB_STREAM_PARSER, BPF_PROG_TYPE_SK_SKB},
                                            {"stream_verdict", BPF_SK_SKB_STREAM_VERDICT, BPF_PROG_TYPE_SK_SKB},
                                            {"verdict", BPF_SK_SKB_VERDICT, BPF_PROG_TYPE_SK_SKB},
                                            {"msg_verdict", BPF_SK_MSG_VERDICT, BPF_PROG_TYPE_SK_MSG}}};

Result<SockmapHook> find_hook(const Hook& hook) {
  for (const SockmapHook& known : kHooks) {
    if (known.name == hook.hook) return known;
  }
  return fail(ErrorCode::kInvalid, "the sockmap hook \"" + hook.hook + "\" is not one of stream_parser, stream_verdict, verdict, msg_verdict");
}

}  // namespace

Result<uint32_t> sockmap_attach_type(const Hook& hook) {
  MS_TRY(const SockmapHook found, find_hook(hook));
  return static_cast<uint32_t>(found.attach_type);
}

Result<uint32_t> sockmap_program_type(const Hook& hook) {
  MS_TRY(const SockmapHook found, find_hook(hook));
  return static_cast<uint32_t>(found.program_type);
}

// Tried on an empty map of our own: links of sockmaps, and their updates, came with Linux 6.10.
Status check_sockmap(const Hook& hook) {
  MS_TRY(const SockmapHook found, find_hook(hook));
  const LibbpfLog quiet;
  const Fd map(bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "ms_probe", sizeof(int), sizeof(int), 1, nullptr));
  if (!map.valid()) return fail_errno(errno, "make a sockmap to try its links on");
  const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = found.attach_type);
  const Fd program(bpf_prog_load(found.program_type, "ms_probe", "GPL", code.data(), code.size(), &options));
  if (!program.valid()) return fail_errno(errno, "load a program for the sockmap hook " + hook.hook);
  const Fd link(bpf_link_create(program.get(), map.get(), found.attach_type, nullptr));
  if (link.valid()) return {};
  return fail(Error{ErrorCode::kUnsupported, errno,
      "no sockmap here: this kernel has no links for sockmaps; it needs Linux 6.10 or later", {}, {}});
}

Result<Fd> open_sockmap_link(const Hook& hook, int program_fd) {
  MS_TRY(const SockmapHook found, find_hook(hook));
  MS_TRY(const Fd map, open_pin(hook.map));
  const std::string what = "attach " + hook.hook + " to the map " + hook.map;
  Fd link(bpf_link_create(program_fd, map.get(), found.attach_type, nullptr));
  if (link.valid()) return link;
  if (errno == EBUSY) return fail(Error{ErrorCode::kConflict, errno,
      what + ": another program is attached there, and the kernel takes no further one", {}, {}});
  return fail_errno(errno, what);
}

}  // namespace mapshift

// SPDX-License-Identifier: Apache-2.0
#include <capstone/capstone.h>
#include <elf.h>

#include <array>
#include <memory>

#include "observe/go/arch.h"

namespace mapshift::observe::go {
namespace {

using Access = Instruction::Access;
using Flow = Instruction::Flow;

// g.stackguard0, and stackguard1 for functions of the system stack, compared with SP in prologues; g is in R14.
constexpr int64_t kStackGuard = 16, kSystemStackGuard = 24;

// The 64-bit register that a register is a part of.
unsigned whole(unsigned reg) {
  switch (reg) {
    case X86_REG_AL: case X86_REG_AH: case X86_REG_AX: case X86_REG_EAX: return X86_REG_RAX;
    case X86_REG_BL: case X86_REG_BH: case X86_REG_BX: case X86_REG_EBX: return X86_REG_RBX;
    case X86_REG_CL: case X86_REG_CH: case X86_REG_CX: case X86_REG_ECX: return X86_REG_RCX;
    case X86_REG_DL: case X86_REG_DH: case X86_REG_DX: case X86_REG_EDX: return X86_REG_RDX;
    case X86_REG_DIL: case X86_REG_DI: case X86_REG_EDI: return X86_REG_RDI;
    case X86_REG_SIL: case X86_REG_SI: case X86_REG_ESI: return X86_REG_RSI;
    case X86_REG_R8B: case X86_REG_R8W: case X86_REG_R8D: return X86_REG_R8;
    case X86_REG_R9B: case X86_REG_R9W: case X86_REG_R9D: return X86_REG_R9;
    case X86_REG_R10B: case X86_REG_R10W: case X86_REG_R10D: return X86_REG_R10;
    case X86_REG_R11B: case X86_REG_R11W: case X86_REG_R11D: return X86_REG_R11;
    case X86_REG_R12B: case X86_REG_R12W: case X86_REG_R12D: return X86_REG_R12;
    case X86_REG_R13B: case X86_REG_R13W: case X86_REG_R13D: return X86_REG_R13;
    case X86_REG_R15B: case X86_REG_R15W: case X86_REG_R15D: return X86_REG_R15;
    default: return reg;
  }
}

// ABIInternal's order of integer arguments, and g, which a probe needs as well.
bool is_argument(unsigned reg) {
  constexpr std::array<unsigned, 10> kArguments = {X86_REG_RAX, X86_REG_RBX, X86_REG_RCX, X86_REG_RDI, X86_REG_RSI,
                                                   X86_REG_R8,  X86_REG_R9,  X86_REG_R10, X86_REG_R11, X86_REG_R14};
  return std::find(kArguments.begin(), kArguments.end(), reg) != kArguments.end();
}

// arch/x86/kernel/uprobes.c: branch_setup_xol_ops() and push_setup_xol_ops() take these; all else runs out of line, single-stepped.
bool kernel_emulates(const cs_insn& raw) {
  const uint8_t first = raw.bytes[0], second = raw.size > 1 ? raw.bytes[1] : uint8_t{0};
  if (first >= 0x50 && first <= 0x57) return true;                                      // push
  if (first == 0x41 && second >= 0x50 && second <= 0x57) return true;                   // push r8..r15
  if (first >= 0x70 && first <= 0x7f) return true;                                      // jcc rel8
  if (first == 0x0f && second >= 0x80 && second <= 0x8f) return true;                   // jcc rel32
  return first == 0x90 || first == 0xeb || first == 0xe9 || first == 0xe8;              // nop, jmp, call
}

Access access_of(const cs_insn& raw, const cs_x86_op& operand) {
  switch (raw.id) {
    case X86_INS_LEA: return Access::kAddress;
    case X86_INS_XCHG: return Access::kExchange;
    case X86_INS_XADD: return Access::kAtomicAdd;
    case X86_INS_INC: return raw.detail->x86.prefix[0] == X86_PREFIX_LOCK ? Access::kAtomicAdd : Access::kIncrement;
    default: break;
  }
  return (operand.access & CS_AC_WRITE) != 0 ? Access::kWrite : Access::kRead;
}

class Decoder {
 public:
  Decoder() : open_(cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) == CS_ERR_OK) {
    if (open_) cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  ~Decoder() {
    if (open_) cs_close(&handle_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::vector<Instruction> run(Bytes code, uint64_t address) {
    std::vector<Instruction> out;
    if (!open_) return out;
    const std::unique_ptr<cs_insn, void (*)(cs_insn*)> raw(cs_malloc(handle_), [](cs_insn* one) { cs_free(one, 1); });
    const uint8_t* at = code.data();
    size_t left = code.size();
    while (raw && left > 0 && cs_disasm_iter(handle_, &at, &left, &address, raw.get())) out.push_back(one(*raw));
    return out;
  }

 private:
  Instruction one(const cs_insn& raw) {
    Instruction out;
    out.address = raw.address;
    out.size = static_cast<uint8_t>(raw.size);
    out.emulated = kernel_emulates(raw);
    flow(raw, out);
    const cs_x86& x86 = raw.detail->x86;
    for (uint8_t i = 0; i < x86.op_count; ++i) operand(raw, x86.operands[i], out);
    registers(raw, out);
    return out;
  }

  static void flow(const cs_insn& raw, Instruction& out) {
    const cs_x86& x86 = raw.detail->x86;
    const bool direct = x86.op_count == 1 && x86.operands[0].type == X86_OP_IMM;
    if (raw.id == X86_INS_RET) out.flow = Flow::kReturn;
    else if (raw.id == X86_INS_CALL) out.flow = Flow::kCall;
    else if (raw.id == X86_INS_JMP) out.flow = Flow::kJump;
    else if (direct && raw.bytes[0] != 0x68 && raw.bytes[0] != 0x6a && raw.mnemonic[0] == 'j') out.flow = Flow::kBranch;
    if (direct && out.flow != Flow::kNext) out.target = static_cast<uint64_t>(x86.operands[0].imm);
  }

  void operand(const cs_insn& raw, const cs_x86_op& op, Instruction& out) {
    if (op.type == X86_OP_IMM && raw.id == X86_INS_CMP) out.compared = op.imm;
    if (op.type != X86_OP_MEM) return;
    if (raw.id == X86_INS_CMP && op.mem.base == X86_REG_R14) {
      out.checks_stack = op.mem.disp == kStackGuard || op.mem.disp == kSystemStackGuard;
    }
    if (raw.id == X86_INS_NOP || op.mem.index != X86_REG_INVALID || op.mem.segment != X86_REG_INVALID) return;
    if (op.mem.base == X86_REG_RIP) out.location = raw.address + raw.size + static_cast<uint64_t>(op.mem.disp);
    else if (op.mem.base < known_.size() && known_[op.mem.base] != 0) out.location = known_[op.mem.base] + static_cast<uint64_t>(op.mem.disp);
    else return;
    out.access = access_of(raw, op);
    out.width = op.size;
  }

  // Remembers the address that a LEA has put into a register until something else may be in it.
  void registers(const cs_insn& raw, Instruction& out) {
    cs_regs read, written;
    uint8_t reads = 0, writes = 0;
    if (cs_regs_access(handle_, &raw, read, &reads, written, &writes) != CS_ERR_OK) writes = 0;
    for (uint8_t i = 0; i < writes; ++i) {
      const unsigned reg = whole(written[i]);
      if (reg < known_.size()) known_[reg] = 0;
      if (is_argument(reg)) out.writes_arguments = true;
    }
    if (out.flow != Flow::kNext && out.flow != Flow::kBranch) known_.fill(0);
    if (out.flow == Flow::kCall) out.writes_arguments = true;
    if (raw.id != X86_INS_LEA || out.access != Access::kAddress) return;
    const auto reg = raw.detail->x86.operands[0].reg;
    if (reg < known_.size()) known_[reg] = out.location;
    out.loads_first_argument = reg == X86_REG_RAX;
  }

  csh handle_ = 0;
  bool open_;
  std::array<uint64_t, X86_REG_ENDING> known_ = {};
};

std::vector<Instruction> decode_amd64(Bytes code, uint64_t address) { return Decoder().run(code, address); }

}  // namespace

const Arch kAmd64 = {"amd64", EM_X86_64, decode_amd64};

const Arch* arch_for(uint16_t machine) { return machine == kAmd64.machine ? &kAmd64 : nullptr; }

}  // namespace mapshift::observe::go

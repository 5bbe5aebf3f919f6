// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <linux/bpf.h>

#include <string>
#include <vector>

#include "kernel/object_spec.h"

namespace mapshift::update {

// A program by hand, over one map "m": hash, 4-byte key, value of 32 bytes.
class Assembler {
 public:
  Assembler& emit(int code, int dst, int src, int off, int imm) {
    Insn insn{static_cast<uint8_t>(code), 0, 0, static_cast<int16_t>(off), imm};
    insn.dst = static_cast<unsigned>(dst) & 15U;
    insn.src = static_cast<unsigned>(src) & 15U;
    insns_.push_back(insn);
    return *this;
  }
  Assembler& map(int reg) {
    relocs_.push_back({static_cast<uint32_t>(insns_.size()), Reloc::Kind::kMap, "m", 0});
    return emit(BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_FD, 0, 0).emit(0, 0, 0, 0, 0);
  }
  Assembler& mov(int dst, int imm) { return emit(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
  Assembler& copy(int dst, int src) { return emit(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
  Assembler& alu(int operation, int dst, int imm) { return emit(BPF_ALU64 | operation | BPF_K, dst, 0, 0, imm); }
  Assembler& alu_reg(int operation, int dst, int src) { return emit(BPF_ALU64 | operation | BPF_X, dst, src, 0, 0); }
  Assembler& load(int dst, int src, int off) { return emit(BPF_LDX | BPF_MEM | BPF_DW, dst, src, off, 0); }
  Assembler& store(int dst, int off, int src) { return emit(BPF_STX | BPF_MEM | BPF_DW, dst, src, off, 0); }
  Assembler& atomic(int operation, int dst, int off, int src) {
    return emit(BPF_STX | BPF_ATOMIC | BPF_DW, dst, src, off, operation);
  }
  Assembler& jump(int operation, int dst, int imm, int off) { return emit(BPF_JMP | operation | BPF_K, dst, 0, off, imm); }
  Assembler& call(int helper) { return emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  Assembler& exit() { return emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  // r0 = lookup(m, r10 - 4), and gone when there is none.
  Assembler& lookup() {
    emit(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0);
    return map(1).copy(2, 10).alu(BPF_ADD, 2, -4).call(BPF_FUNC_map_lookup_elem).jump(BPF_JNE, 0, 0, 1).exit();
  }

  Assembler& function(const std::string& name) {
    relocs_.push_back({static_cast<uint32_t>(insns_.size()), Reloc::Kind::kCall, name, 0});
    return emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -1);
  }
  [[nodiscard]] size_t size() const { return insns_.size(); }

  [[nodiscard]] ObjectSpec object() const {
    ObjectSpec out;
    MapSpec map;
    map.name = "m";
    map.type = MapType::kHash;
    map.key_size = 4;
    map.value_size = 32;
    map.max_entries = 16;
    out.maps.push_back(std::move(map));
    ProgramSpec program;
    program.name = "p";
    program.code = {"p", insns_, relocs_};
    out.programs.push_back(std::move(program));
    return out;
  }

 private:
  std::vector<Insn> insns_ = {};
  std::vector<Reloc> relocs_ = {};
};

}  // namespace mapshift::update

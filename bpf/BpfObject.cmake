# SPDX-License-Identifier: Apache-2.0
# bpf_object(<target> <source> [OUTPUT <file>] [SKELETON] [FLAGS <flag>...])
#
# Compiles <source> to a BPF object. With SKELETON a libbpf skeleton <target>.skel.h is made as well, found in
# ${CMAKE_BINARY_DIR}/skeletons. Dependency files rebuild the object when a header changes.
find_program(BPF_CLANG NAMES clang-14 clang REQUIRED)
find_program(BPF_TOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
# clang -target bpf does not search the multiarch folder, where asm/types.h lives on Debian.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-multiarch OUTPUT_VARIABLE BPF_MULTIARCH OUTPUT_STRIP_TRAILING_WHITESPACE)
# <bpf/bpf_tracing.h> must know whose registers it reads.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(BPF_ARCH arm64)
else()
  set(BPF_ARCH x86)
endif()
set(BPF_FLAGS -D__TARGET_ARCH_${BPF_ARCH} -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
    -I${CMAKE_SOURCE_DIR}/bpf/include -isystem /usr/include/${BPF_MULTIARCH})

function(bpf_object target source)
  cmake_parse_arguments(ARG "SKELETON" "OUTPUT" "FLAGS" ${ARGN})
  get_filename_component(source ${source} ABSOLUTE)
  if(NOT ARG_OUTPUT)
    set(ARG_OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}.bpf.o)
  endif()
  get_filename_component(folder ${ARG_OUTPUT} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${ARG_OUTPUT}
    COMMAND ${BPF_CLANG} ${BPF_FLAGS} ${ARG_FLAGS} -MD -MT ${ARG_OUTPUT} -MF ${ARG_OUTPUT}.d -c ${source} -o ${ARG_OUTPUT}
    DEPENDS ${source} DEPFILE ${ARG_OUTPUT}.d
    COMMENT "BPF ${target}" VERBATIM)
  set(outputs ${ARG_OUTPUT})
  if(ARG_SKELETON)
    set(skeleton ${CMAKE_BINARY_DIR}/skeletons/${target}.skel.h)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/skeletons)
    string(REPLACE "-" "_" skeleton_name ${target})
    add_custom_command(
      OUTPUT ${skeleton}
      COMMAND sh -c "${BPF_TOOL} gen skeleton ${ARG_OUTPUT} name ${skeleton_name}_bpf > ${skeleton}.tmp && mv ${skeleton}.tmp ${skeleton}"
      DEPENDS ${ARG_OUTPUT} COMMENT "skeleton ${target}" VERBATIM)
    list(APPEND outputs ${skeleton})
  endif()
  add_custom_target(${target} ALL DEPENDS ${outputs})
endfunction()
